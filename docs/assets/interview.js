// The interview questions: checks typed numbers; on the page with all of them, filters and keeps progress.
const number = (text) => Number(text.replace(/[\s,_']/g, "").replace(/·10\^?/, "e"));

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
    const { value, digits } = form.dataset, typed = form.querySelector("input").value;
    form.querySelector("output").value = verdict(typed.trim() ? number(typed) : NaN, Number(value), digits);
  });

const KNOWN = "backbones: questions known";
const panel = document.querySelector("#questions-filter");
if (panel) {
  const all = [...document.querySelectorAll("details.question")];
  const known = new Set(JSON.parse(localStorage.getItem(KNOWN) ?? "[]"));
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
    panel.querySelector("output").value = `${shown} shown. You know ${known.size} of ${all.length}.`;
    localStorage.setItem(KNOWN, JSON.stringify([...known]));
  };

  for (const question of all) {
    const label = document.createElement("label");
    label.className = "know";
    label.innerHTML = '<input type="checkbox"> I know this';
    label.firstChild.addEventListener("change", (event) => {
      if (event.target.checked) known.add(question.id); else known.delete(question.id);
      refresh();
    });
    question.append(label);
  }
  panel.addEventListener("change", refresh);
  panel.querySelector("button").addEventListener("click", () => { known.clear(); refresh(); });
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
