// The tab "Voices": which there are, how they sound, and adding one with its speaker's consent.

import { getJson, request } from "./api.js";
import { t } from "./i18n.js";
import { record } from "./record.js";
import { speak } from "./say.js";
import { AUDIO, Busy, button, chooseFile, clock, errorBox, field, h, signButton } from "./ui.js";

export async function start(root) {
  const list = h("ul", { class: "plain voices" });
  const problem = h("div");
  const name = h("input", { type: "text", maxlength: "64", autocomplete: "off" });
  const text = h("textarea", { rows: "2" });
  const consent = h("input", { type: "checkbox", id: "consent" });
  const chosen = h("span", { class: "muted" });
  const adding = h("div");
  let file = null, playing = null;

  const choose = (made) => { file = made; chosen.textContent = made ? `${made.name} · ${(made.size / 1024).toFixed(0)} kB` : ""; };

  async function show() {
    try {
      const { data } = await getJson("/v1/audio/voices");
      list.replaceChildren(...(data.length ? data.map(row) : [h("li", { class: "muted" }, t("noVoices"))]));
      problem.replaceChildren();
    } catch (error) {
      problem.replaceChildren(errorBox(error, button(t("tryAgain"), show)));
    }
  }

  function row(voice) {
    return h("li", { class: "row" },
      signButton(t("playVoice", { name: voice.id }), "play", () => play(voice.id)),
      h("span", { class: "grow" }, h("strong", {}, voice.id), " ", h("span", { class: "muted" }, [voice.language, t(voice.uploaded ? "uploaded" : "ofModel")].filter(Boolean).join(" · "))),
      voice.uploaded ? signButton(t("removeVoice", { name: voice.id }), "trash", () => remove(voice.id)) : null);
  }

  async function play(id) {
    playing?.abort();
    const stop = new AbortController();
    playing = stop;
    const busy = new Busy(t("saying"), () => stop.abort());
    problem.replaceChildren(busy.element);
    try {
      const { data } = await getJson("/v1/models");
      const said = await speak({ model: data[0].id, input: t("voiceSample"), voice: id }, stop.signal, () => {});
      setTimeout(() => said.context.close().catch(() => {}), 1000 * said.left + 500);
      problem.replaceChildren();
    } catch (error) {
      problem.replaceChildren(...(error.name === "AbortError" ? [] : [errorBox(error)]));
    } finally {
      busy.end();
    }
  }

  async function remove(id) {
    try {
      await request(`/v1/audio/voices/${encodeURIComponent(id)}`, { method: "DELETE" });
    } catch (error) {
      problem.replaceChildren(errorBox(error));
    }
    show();
  }

  async function add() {
    const missing = !file ? "needFile" : !name.value.trim() ? "needName" : !consent.checked ? "needConsent" : null;
    if (missing) {
      adding.replaceChildren(errorBox(new Error(t(missing))));
      (missing === "needName" ? name : missing === "needConsent" ? consent : fileButton).focus();
      return;
    }
    const form = new FormData();
    form.append("file", file, file.name);
    form.append("name", name.value.trim());
    form.append("text", text.value.trim());
    form.append("consent", "true");
    const busy = new Busy(t("addVoice"));
    adding.replaceChildren(busy.element);
    try {
      await request("/v1/audio/voices", { form });
      adding.replaceChildren();
      choose(null);
      name.value = "";
      text.value = "";
      consent.checked = false;
      await show();
    } catch (error) {
      adding.replaceChildren(errorBox(error));
    } finally {
      busy.end();
    }
  }

  async function speakIn() {
    try {
      const made = await record("voice.wav");
      const time = h("strong", {});
      const timer = setInterval(() => { time.textContent = t("recording", { time: clock(made.seconds, 0) }); }, 200);
      const end = (result) => { clearInterval(timer); adding.replaceChildren(); if (result) choose(result); };
      adding.replaceChildren(h("div", { class: "note row" }, time, button(t("recordDone"), () => end(made.stop()), { sign: "stop", kind: "main" }), button(t("cancel"), () => { made.cancel(); end(null); })));
    } catch (error) {
      adding.replaceChildren(errorBox(error));
    }
  }

  const fileButton = button(t("open"), async () => { const found = await chooseFile(AUDIO); if (found) choose(found); }, { sign: "open" });
  root.replaceChildren(h("div", { class: "desk" },
    h("div", { class: "column" }, h("section", { class: "card" }, h("h1", {}, t("voicesTitle")), list, problem)),
    h("div", { class: "column side" }, h("section", { class: "card" },
      h("h2", {}, t("addVoice")),
      h("p", { class: "label" }, t("voiceFile")),
      h("div", { class: "row" }, fileButton, button(t("record"), speakIn, { sign: "mic" }), chosen),
      field(t("voiceName"), name), field(t("voiceText"), text),
      h("p", { class: "tick" }, consent, h("label", { for: "consent" }, t("consent"))),
      button(t("add"), add, { kind: "main", sign: "plus" }), adding))));
  return { enter: show };
}
