// The rows of the list.

/** The row of a job, where it is in the list. */
export function rowOf(id) {
  return id === undefined ? null : document.getElementById(`job-${id}`);
}

export function rows() {
  return [...document.querySelectorAll("tr.job")];
}

export function hasRows() {
  return document.querySelector("tr.job") !== null;
}
