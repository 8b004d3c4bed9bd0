"""The page's looks: theme and style sheet. Colours come from the theme, for light and dark."""

from __future__ import annotations

import gradio as gr

# White letters on the soft theme's own 500 are too faint to be read by everybody.
DEEP = (
    "button_primary_background_fill",
    "button_primary_border_color",
    "checkbox_label_background_fill_selected",
    "color_accent",
)
DEEPER = (
    "button_primary_background_fill_hover",
    "button_primary_background_fill_hover_dark",
)


def theme() -> gr.themes.Base:
    """Gradio's soft theme with quiet labels, in colours that can be read.

    The font comes with Gradio and is served from here; the theme's own one would be Montserrat,
    which Gradio ships with the letters of another typeface in its regular weight.
    """
    quiet_labels = {
        f"block_{kind}_{part}{mode}": value
        for kind in ("title", "label")
        for mode in ("", "_dark")
        for part, value in (
            ("background_fill", "*block_background_fill"),
            ("text_color", "*body_text_color"),
        )
    }
    font = (gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif")
    soft = gr.themes.Soft(primary_hue="indigo", neutral_hue="slate", font=font)
    return soft.set(
        **quiet_labels,
        **dict.fromkeys(DEEP, "*primary_600"),
        **dict.fromkeys(DEEPER, "*primary_700"),
        body_text_color_subdued="*neutral_500",
        checkbox_border_color="*neutral_400",
        link_text_color_dark="*secondary_400",
        link_text_color_visited_dark="*secondary_400",
        block_border_width="1px",
        block_border_width_dark="1px",
        block_label_border_width="0px",
        block_label_border_width_dark="0px",
    )


CSS = """
:root { --quiet: var(--neutral-600); --deep: var(--primary-600); }
.dark { --quiet: var(--neutral-400); --color-accent: var(--primary-400) !important; }
.gradio-container {
  width: 100% !important; max-width: min(1120px, 100%) !important; margin: 0 auto !important;
}
#top { align-items: end; gap: 12px; flex-wrap: nowrap; }
#heading { flex: 1 1 0; width: auto; }
#domain { flex: 1 1 auto; min-width: 0 !important; }
#world { padding: 12px 16px; }
#world-words { font-size: .9rem; }
#heading h1 { margin: 0 0 .1em; font-size: 1.6rem; }
#heading p, #footnote p { margin: 0; color: var(--quiet); }
#footnote p { font-size: .85rem; }
.empty { margin: 0; color: var(--quiet); font-size: .85rem; }
button:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 2px; }

#samples, #samples .gallery-container, #samples .grid-wrap {
  height: auto !important; min-height: 0 !important; max-height: none;
}
#samples .grid-container {
  grid-template: auto / repeat(8, minmax(0, 1fr)) !important; grid-auto-rows: auto !important;
  height: auto !important; min-height: 0 !important; gap: 6px; padding: 34px 8px 8px;
}
#samples .thumbnail-item { aspect-ratio: 1; height: auto; min-height: 0; }
#draw { align-items: stretch; gap: 8px; }
#seed label { display: flex; flex-direction: row; align-items: center; gap: 10px; }
#seed { padding: 4px 12px; }
#seed span { margin: 0; }

.chips { display: flex; flex-wrap: wrap; gap: 6px; }
.chips button, .stack button {
  font: inherit; font-size: .85rem; color: var(--body-text-color); cursor: pointer;
  background: var(--button-secondary-background-fill);
  border: 1px solid var(--border-color-primary); border-radius: 999px; padding: 4px 12px;
}
.chips button:hover, .stack button:hover:enabled {
  background: var(--button-secondary-background-fill-hover);
}
#go, #steps { gap: 8px; }

.stack {
  list-style: none; margin: 0; padding: 1px; display: grid; gap: 6px;
  grid-template-columns: minmax(0, 1fr);
}
.stack li {
  display: flex; align-items: center; gap: 4px; margin: 0; padding: 4px 6px;
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-lg);
  background: var(--block-background-fill);
}
.stack li.chosen { border-color: var(--color-accent); box-shadow: 0 0 0 1px var(--color-accent); }
.stack li.off .name { opacity: .5; text-decoration: line-through; }
.stack button { min-width: 32px; min-height: 32px; padding: 2px 8px; }
.stack button:disabled { opacity: .35; cursor: default; }
.stack .switch[aria-pressed=true] { background: var(--deep); color: white; }
.stack .name {
  flex: 1; min-width: 0; display: flex; gap: 8px; justify-content: space-between;
  align-items: center;
  border: 0; background: none; text-align: left; border-radius: var(--radius-md);
}
.stack .name span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.stack .name b { font-variant-numeric: tabular-nums; }

#before-after { min-height: min(520px, 100vw - 64px); }
#scores { min-height: 104px; }
.scores { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 12px; }
.score > div { display: flex; justify-content: space-between; font-size: .95rem; }
.score meter { width: 100%; height: 12px; }
.score p { margin: 2px 0 0; font-size: .8rem; color: var(--quiet); }
#notes { min-height: 3em; }
#notes p { margin: 0 0 .3em; font-size: .85rem; }

#crop .image-frame, #inversion .image-frame { padding-top: 26px; }
#faces { min-height: 170px; }
.faces { position: relative; max-height: 150px; margin: 24px auto 0; max-width: 100%; }
.faces img { width: 100%; height: 100%; display: block; border-radius: var(--radius-sm); }
.faces button {
  position: absolute; padding: 0; cursor: pointer; background: none; min-width: 24px;
  min-height: 24px; border: 2px solid white; box-shadow: 0 0 0 1px black; border-radius: 4px;
}
.faces button[aria-pressed=true] { border-color: var(--color-accent); }
.faces button span {
  position: absolute; left: 0; bottom: 0; padding: 0 5px; font-size: .75rem; line-height: 1.4;
  background: black; color: white;
}
.faces button[aria-pressed=true] span { background: var(--deep); }

#batch-archive { min-height: 90px; max-height: 140px; }
#batch-table td, #batch-table th { font-size: .8rem; word-break: normal; padding: 4px 6px; }
#strip, #methods-shown { min-height: 240px; }
#strip .grid-container, #methods-shown .grid-container { padding-top: 34px; }
.moving { min-height: 384px; display: grid; place-items: center; }
.moving img, .moving video { max-width: 100%; border-radius: var(--radius-lg); }
#map { min-height: 480px; }
.lead { max-width: 46rem; }
.lead table { display: block; overflow-x: auto; font-size: .9rem; }
.lead th, .lead td:first-child { white-space: nowrap; }
.lead td { min-width: 7rem; overflow-wrap: anywhere; word-break: normal; }
.lead td:first-child { min-width: 0; }
.numbers, .numbers .form { align-items: end; }
footer > .divider:last-child { display: none; }
.batch-status { min-height: 3.2em; }
.batch-status p { margin: 0 0 4px; }
.batch-status progress { width: 100%; height: 12px; accent-color: var(--color-accent); }

@media (max-width: 480px) {
  #samples .grid-container { grid-template: auto / repeat(4, minmax(0, 1fr)) !important; }
  .scores { grid-template-columns: 1fr; }
  #strip { height: auto !important; }
  #strip .grid-container {
    grid-template-columns: repeat(3, minmax(0, 1fr)) !important;
  }
  #methods-shown .grid-container { grid-template-columns: repeat(2, minmax(0, 1fr)) !important; }
  .stack li { gap: 2px; padding: 4px; }
  .stack button { min-width: 30px; padding: 2px 4px; }
  #top { flex-direction: column; align-items: stretch; }
  #heading, #domain { flex: 0 0 auto; }
}
"""
