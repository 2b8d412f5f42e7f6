// The frame: tabs, language, light or dark, the line about the model, files dropped anywhere.

import { getJson } from "./api.js";
import { language, setLanguage, t } from "./i18n.js";
import { h, signButton } from "./ui.js";

const TABS = ["edit", "say", "write", "voices", "tokens"];
const panels = {};
const buttons = {};

function theme() {
  const chosen = localStorage.getItem("uniaudio-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}

function prefs() {
  const other = language() === "en" ? "zh" : "en";
  const name = other === "zh" ? "中文" : "English";
  document.getElementById("prefs").append(
    h("button", { type: "button", class: "button quiet", lang: other === "zh" ? "zh-CN" : "en", onclick: () => { setLanguage(other); location.reload(); } }, name),
    signButton(t("theme"), "moon", () => {
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
      localStorage.setItem("uniaudio-theme", now === "dark" ? "light" : "dark");
      theme();
      dispatchEvent(new Event("themechange"));
    }),
  );
}

async function open(name, ...given) {
  for (const other of TABS) {
    const here = other === name;
    buttons[other].setAttribute("aria-selected", String(here));
    buttons[other].tabIndex = here ? 0 : -1;
    panels[other].element.hidden = !here;
  }
  const panel = panels[name];
  if (!panel.made) {
    panel.made = import(`./${name}.js`).then((module) => module.start(panel.element, { open }));
  }
  const made = await panel.made;
  document.title = `${t(`tab_${name}`)} · uniaudio`;
  const hash = new URLSearchParams(location.hash.slice(1));
  hash.set("tab", name);
  history.replaceState(null, "", `#${hash}`);
  for (const other of TABS) if (other !== name) (await panels[other].made)?.leave?.();
  if (given.length) await made.take?.(...given);
  made.enter?.();
  return made;
}

function tabs() {
  const list = document.getElementById("tabs");
  list.setAttribute("aria-label", t("tabs"));
  for (const name of TABS) {
    const panel = h("section", { id: `panel-${name}`, role: "tabpanel", "aria-labelledby": `tab-${name}`, hidden: true });
    panels[name] = { element: panel, made: null };
    buttons[name] = h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, onclick: () => open(name) }, t(`tab_${name}`));
    list.append(buttons[name]);
    document.getElementById("main").append(panel);
  }
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex((name) => buttons[name].getAttribute("aria-selected") === "true");
    const next = TABS[(at + step + TABS.length) % TABS.length];
    open(next);
    buttons[next].focus();
  });
}

function drops() {
  let depth = 0;
  document.body.dataset.drop = t("dropHere");
  const show = (on) => document.body.classList.toggle("dropping", on);
  addEventListener("dragenter", (event) => { event.preventDefault(); depth += 1; show(true); });
  addEventListener("dragleave", () => { depth -= 1; show(depth > 0); });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    show(false);
    const file = event.dataTransfer.files[0];
    if (!file) return;
    const name = new URLSearchParams(location.hash.slice(1)).get("tab") ?? "edit";
    await open(["write", "tokens"].includes(name) ? name : "edit", file);
  });
}

async function modelLine() {
  const line = document.getElementById("model");
  try {
    const { data } = await getJson("/v1/models");
    const name = data[0].id;
    line.textContent = name === "nano" ? t("model_nano") : t("model_other", { name: name.split(/[\\/]/).pop() });
  } catch (error) {
    line.textContent = error.message;
  }
}

theme();
document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
prefs();
tabs();
drops();
const wanted = new URLSearchParams(location.hash.slice(1)).get("tab");
open(TABS.includes(wanted) ? wanted : "edit");
modelLine();
