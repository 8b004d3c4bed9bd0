/* global trigger */
// js_on_load of gr.HTML: report that the strength has not moved for 300 ms, or earlier when the
// visitor presses something else, because that action needs the new strength. The report names
// the edit it belongs to, because another action may reach the server first.
let waiting = null;
const report = () => {
  if (waiting === null) return;
  clearTimeout(waiting);
  waiting = null;
  const edits = [...document.querySelectorAll('#stack li')];
  const index = edits.findIndex((edit) => edit.classList.contains('chosen'));
  trigger('click', { index, count: edits.length });
};
const moved = (event) => event.target.closest?.('#alpha input');
document.addEventListener('input', (event) => {
  if (!moved(event)) return;
  clearTimeout(waiting);
  waiting = setTimeout(report, 300);
}, true);
document.addEventListener('pointerdown', report, true);
document.addEventListener('focusout', (event) => { if (moved(event)) report(); }, true);
