() => document.querySelector('#save-link').click()
