(query) => {
  const link = location.origin + location.pathname + query;
  navigator.clipboard?.writeText(link);
  history.replaceState(null, '', query);
}
