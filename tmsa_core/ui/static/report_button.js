/* global element, trigger */
// js_on_load of gr.HTML: report which button inside the component was pressed: its action, its
// index and the number of entries in its list at that moment.
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-action]');
  if (!button) return;
  const list = button.closest('[data-count]');
  trigger('click', {
    action: button.dataset.action,
    index: Number(button.dataset.index),
    count: list ? Number(list.dataset.count) : null,
  });
});
