// The interview questions: checks typed numbers; on the page with all of them, filters and keeps progress.
// A comma parts thousands, or decimals where people and their phones' keys write it so: the nearer number counts.
const number = (text, wanted) => {
  const plain = text.replace(/[\s_']/g, "").replace("−", "-").replace(/[·×*]10\^?/, "e");
  const read = [plain.replaceAll(",", ""), plain.replace(",", ".")].map((digits) => (digits ? Number(digits) : NaN));
  const off = (value) => Math.abs(value - wanted);
  return off(read[1]) < off(read[0]) ? read[1] : read[0];
};

// As exact as asked for is right, and so is what is more exact than the rounded answer. Of a whole number close is only
// what is right to three digits, such as 3.86e9: a count that is out by one is wrong.
const verdict = (typed, wanted, digits) => {
  const off = Math.abs(typed - wanted), size = Math.abs(wanted), slack = 1e-9 * (size || 1);
  if (Number.isNaN(typed)) return "Type a number, such as 1,234 or 3.86e9.";
  if (off <= slack + (digits === undefined ? 0 : 0.5 * 10 ** -digits)) return "Right.";
  if (digits === undefined && Number.isInteger(wanted))
    return typed === Number(wanted.toPrecision(3)) ? "Close: right to three digits." : "Not yet.";
  return off <= 0.02 * size ? "Close: within 2 %." : "Not yet.";
};

for (const form of document.querySelectorAll("form.typed"))
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { value, digits } = form.dataset, wanted = Number(value);
    form.querySelector("output").value = verdict(number(form.querySelector("input").value, wanted), wanted, digits);
  });

// Where a browser keeps nothing, or something broken, the page works without a memory.
const KNOWN = "backbones: questions known";
const kept = () => {
  try { return new Set(JSON.parse(localStorage.getItem(KNOWN) ?? "[]")); } catch { return new Set(); }
};
const keep = (known) => {
  try { localStorage.setItem(KNOWN, JSON.stringify([...known])); } catch { /* until the page is left */ }
};
const panel = document.querySelector("#questions-filter");
if (panel) {
  const all = [...document.querySelectorAll("details.question")];
  let known = kept();
  const [topic, level, state] = panel.querySelectorAll("select");

  const refresh = () => {
    for (const question of all) {
      const done = known.has(question.id);
      question.hidden = ![
        !topic.value || question.dataset.topic === topic.value,
        !level.value || question.dataset.level === level.value,
        !state.value || (state.value === "known") === done,
      ].every(Boolean);
      question.classList.toggle("known", done);
      question.querySelector("input[type=checkbox]").checked = done;
    }
    for (const heading of document.querySelectorAll("article h2")) {
      const own = all.filter((question) => question.dataset.topic === heading.dataset.topic);
      heading.hidden = own.length > 0 && own.every((question) => question.hidden);
    }
    const shown = all.filter((question) => !question.hidden).length;
    const done = all.filter((question) => known.has(question.id)).length; // some that were known may be gone
    panel.querySelector("output").value = `${shown} shown. You know ${done} of ${all.length}.`;
  };
  const change = () => { keep(known); refresh(); };
  // A keyboard's place must not vanish with the question: it moves on to the next, or back to the choice.
  const moveOn = (question) => {
    const next = all.slice(all.indexOf(question)).find((other) => !other.hidden);
    (next?.querySelector("summary") ?? state).focus();
  };

  for (const question of all) {
    const label = document.createElement("label");
    label.className = "know";
    label.innerHTML = '<input type="checkbox"> I know this';
    // Read out of its context each would be called the same.
    label.firstChild.setAttribute("aria-label", `I know this: ${question.querySelector("summary").textContent}`);
    label.firstChild.addEventListener("change", (event) => {
      if (event.target.checked) known.add(question.id); else known.delete(question.id);
      change();
      if (question.hidden) moveOn(question);
    });
    question.append(label);
  }
  panel.addEventListener("change", refresh);
  panel.querySelector("button").addEventListener("click", () => {
    if (confirm("Forget which questions you know?")) { known.clear(); change(); }
  });
  addEventListener("storage", () => { known = kept(); refresh(); }); // marked in another window
  panel.hidden = false;
  refresh();
}

// On paper every answer that is shown stands open; afterwards those are folded again that were.
const opened = [];
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("article details:not([open])")) {
    fold.open = true;
    opened.push(fold);
  }
});
addEventListener("afterprint", () => { for (const fold of opened.splice(0)) fold.open = false; });
