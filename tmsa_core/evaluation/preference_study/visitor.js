// Returns the visitor, a random token that the browser stores. IndexedDB creates it only once even if
// several tabs open at the same time, which local storage does not guarantee. Without IndexedDB the
// token lasts until the next reload.

async () => {
  const random = crypto.getRandomValues(new Uint32Array(2));
  const fresh = Array.from(random, (x) => x.toString(16).padStart(8, "0")).join("");
  try {
    return await new Promise((resolve, reject) => {
      const open = indexedDB.open("tmsa-study", 1);
      open.onupgradeneeded = () => open.result.createObjectStore("visitor").add(fresh, 0);
      open.onsuccess = () => {
        const read = open.result.transaction("visitor").objectStore("visitor").get(0);
        read.onsuccess = () => { open.result.close(); resolve(read.result); };
        read.onerror = reject;
      };
      open.onerror = reject;
    });
  } catch (blocked) {
    return fresh;
  }
}
