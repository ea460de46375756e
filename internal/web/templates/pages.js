// Improves the console. Every page works without it.

// Selection: one box that selects every row of the page, and how many are selected.
for (const form of document.querySelectorAll("form.selection")) {
  const rows = [...form.querySelectorAll('input[name="uuid"]')];
  const all = form.querySelector('input[name="all"]');
  const count = form.querySelector("output[data-selected]");
  const place = form.querySelector("thead .tick");
  if (!count || !place) continue;
  const every = document.createElement("input");
  every.type = "checkbox";
  every.setAttribute("aria-label", "Select every invitation on this page");
  place.replaceChildren(every);
  const buttons = [...form.querySelectorAll("button[name=action]")];
  const words = buttons.map((button) => button.textContent);

  const update = () => {
    const selected = all?.checked ? Number(all.value) : rows.filter((row) => row.checked).length;
    every.checked = all?.checked || (rows.length > 0 && rows.every((row) => row.checked));
    every.indeterminate = !every.checked && selected > 0;
    for (const box of [every, ...rows]) box.disabled = Boolean(all?.checked);
    count.hidden = false;
    count.textContent = selected === 0 ? "None selected" : `${selected} selected`;
    buttons.forEach((button, i) => (button.textContent = selected ? `${words[i]} (${selected})` : words[i]));
  };
  every.addEventListener("change", () => {
    for (const row of rows) row.checked = every.checked;
    update();
  });
  form.addEventListener("change", update);
  addEventListener("pageshow", update); // the browser may have kept the boxes of the last visit
}

// A form that is on its way says so, and is not sent twice.
const waiting = document.createElement("p");
waiting.className = "waiting";
waiting.setAttribute("role", "status");
document.querySelector("main")?.append(waiting);
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (event.submitter?.hasAttribute("data-stays")) return; // a download: the page stays
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    waiting.textContent = "Working on it …";
  });
}
addEventListener("pageshow", () => {
  waiting.textContent = "";
  for (const form of document.forms) delete form.dataset.sent;
});

// A field to copy gets a button that copies it, where the browser lets pages write to the clipboard.
for (const field of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Copy";
  const result = document.createElement("span");
  result.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      result.textContent = "Copied";
    } catch {
      result.textContent = "Your browser did not copy it. It is selected: copy it yourself.";
    }
  });
  field.after(button, result);
}

// A file that is too large is not sent at all.
for (const field of document.querySelectorAll("input[type=file][data-max]")) {
  field.addEventListener("change", () => {
    const isTooLarge = (field.files[0]?.size ?? 0) > Number(field.dataset.max);
    field.setCustomValidity(isTooLarge ? "The file is larger than 8 MB. Split it, and send the parts one after the other." : "");
    field.reportValidity();
  });
}

// Progress: the page is fetched every second while rows are being done, and what has changed is put in its place. When they are
// done, all of the page is.
for (const element of document.querySelectorAll("[data-scripted=hide]")) element.hidden = true;
if (document.querySelector("[data-live]")) {
  const main = document.querySelector("main");
  const follow = async () => {
    let answer;
    try {
      if (!document.hidden) answer = await fetch(location.href);
    } catch {
      // the network is away: try again
    }
    if (answer?.redirected) return location.reload(); // the session has ended
    if (answer?.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!page.querySelector("[data-live]")) {
        main.replaceChildren(...page.querySelector("main").childNodes);
        document.title = page.title;
        main.querySelector("h1").focus();
        return;
      }
      for (const id of ["progress", "status", "aim"]) {
        const old = document.getElementById(id);
        const changed = page.getElementById(id);
        if (old.innerHTML !== changed.innerHTML) old.replaceChildren(...changed.childNodes);
      }
    }
    setTimeout(follow, 1000);
  };
  setTimeout(follow, 1000);
}
