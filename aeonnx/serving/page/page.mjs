// Tries the server from the browser: each form sends one request and shows its answer.

const about = await (await fetch("about")).json();
const state = document.getElementById("state");
state.textContent = about.ready
  ? `Ready: ${Object.keys(about.models).length} models.`
  : "The server is starting, or it is about to stop: reload this page.";

for (const [name, versions] of Object.entries(about.models)) {
  const row = document.getElementById("models").insertRow();
  const link = document.createElement("a");
  link.href = `v2/models/${encodeURIComponent(name)}`;
  link.textContent = name;
  row.insertCell().append(link);
  row.insertCell().textContent = versions.join(", ");
}

for (const [verb, bundles] of Object.entries(about.verbs)) {
  if (bundles.length) start(verb, bundles);
}

function start(verb, bundles) {
  const section = document.getElementById(verb);
  const form = section.querySelector("form");
  section.hidden = false;
  fill(form.elements.bundle, bundles.map(({ name }) => name));
  form.querySelector(".bundle").hidden = bundles.length === 1;
  const showOptions = () => {
    const { classes, size } = bundles.find(({ name }) => name === form.elements.bundle.value);
    if (form.elements.size) {
      form.querySelector(".size").hidden = !size;
      form.elements.size.disabled = !size;
      form.elements.size.value = size ?? "";
    }
    form.querySelector(".class").hidden = !classes.length;
    fill(form.elements.label, classes);
    // A label of a picture is predicted if none is given; what is to be generated is not.
    if (verb !== "generate") form.elements.label.prepend(new Option("predict it", "", true, true));
  };
  form.elements.bundle.addEventListener("change", showOptions);
  showOptions();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const says = section.querySelector(".says");
    button.disabled = true;
    says.className = "says";
    says.textContent = "Waiting for the server…";
    try {
      says.textContent = await send(verb, section, form);
    } catch (error) {
      says.className = "says wrong";
      says.textContent = error.message;
      for (const old of section.querySelectorAll("figure, .result, .scores")) old.hidden = true;
    } finally {
      button.disabled = false;
    }
  });
}

function fill(select, names) {
  select.replaceChildren(...names.map((name) => new Option(name, name)));
}

async function send(verb, section, form) {
  const options = new URLSearchParams();
  for (const name of ["bundle", "label", "seed", "n", "size", "strength"]) {
    const value = form.elements[name]?.value;
    if (value) options.set(name, value);
  }
  const file = form.elements.file?.files[0];
  const began = performance.now();
  const response = await fetch(`${verb}?${options}`, file ? { method: "POST", body: file } : {});
  const took = `${Math.round(performance.now() - began)} ms`;
  if (!response.ok) throw new Error((await response.json()).error);
  if (verb === "score") {
    showScores(section, await response.json());
    return took;
  }
  if (file) show(section.querySelector(".given"), file);
  show(section.querySelector(".result"), await response.blob());
  return took;
}

function show(image, blob) {
  URL.revokeObjectURL(image.src);
  image.onload = () => image.classList.toggle("small", image.naturalWidth < 256);
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
  const figure = image.closest("figure");
  if (figure) figure.hidden = false;
}

function showScores(section, { rows }) {
  const table = section.querySelector("table");
  const body = table.tBodies[0];
  body.replaceChildren();
  rows.forEach(({ score, percentile, verdict }, place) => {
    const row = body.insertRow();
    row.insertCell().textContent = place;
    row.insertCell().textContent = score.toPrecision(4);
    row.insertCell().textContent = percentile === null ? "unknown" : percentile.toFixed(2);
    const cell = row.insertCell();
    cell.textContent = verdict;
    cell.className = verdict;
  });
  table.hidden = false;
}
