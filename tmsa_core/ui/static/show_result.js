() => {
  // On a narrow screen the result is below the button: scroll to it.
  const result = document.querySelector('#before-after');
  const narrow = window.innerWidth < 700;
  if (result && narrow) result.scrollIntoView({ behavior: 'smooth', block: 'start' });
}
