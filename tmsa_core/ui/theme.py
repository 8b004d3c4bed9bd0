"""The colours and font of the page; the style sheet is ``static/style.css``."""

from __future__ import annotations

import gradio as gr

# White text on shade 500, the default of the Soft theme, has too little contrast (WCAG 1.4.3).
DARKER_600 = (
    "button_primary_background_fill",
    "button_primary_border_color",
    "checkbox_label_background_fill_selected",
    "color_accent",
)
DARKER_700 = (
    "button_primary_background_fill_hover",
    "button_primary_background_fill_hover_dark",
)


def theme() -> gr.themes.Base:
    """Gradio's Soft theme with plain labels and colours of sufficient contrast.

    The font is part of Gradio and served from this machine. The default font of the theme,
    Montserrat, is not used: the file of its regular weight in Gradio holds another typeface.
    """
    plain_labels = {
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
        **plain_labels,
        **dict.fromkeys(DARKER_600, "*primary_600"),
        **dict.fromkeys(DARKER_700, "*primary_700"),
        body_text_color_subdued="*neutral_500",
        checkbox_border_color="*neutral_400",
        link_text_color_dark="*secondary_400",
        link_text_color_visited_dark="*secondary_400",
        block_border_width="1px",
        block_border_width_dark="1px",
        block_label_border_width="0px",
        block_label_border_width_dark="0px",
    )
