// Before anything is drawn: what needs a script is shown, what is for readers without one is not.
document.documentElement.classList.add("has-script");
