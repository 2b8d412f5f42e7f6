// What an edit will do, what it did, and which reading is meant: cards beside the sound.

import { t } from "./i18n.js";
import { button, clock, h } from "./ui.js";

const CONTEXT = 7; // words shown around a change

/** The text with what goes struck out and what comes underlined. */
export function diff(plan, words) {
  const edits = plan.operations.filter((op) => op.text_span).sort((a, b) => a.text_span[0] - b.text_span[0]);
  if (!edits.length || !words?.length) return null;
  const text = plan.original_text;
  const near = (i) => edits.some((op) => i >= op.text_span[0] - CONTEXT && i < op.text_span[1] + CONTEXT);
  const out = [];
  const old = (from, to) => text.slice(words[from].from, words[to - 1].to);
  let skipped = false;
  for (let i = 0; i <= words.length;) {
    const op = edits.find((edit) => edit.text_span[0] === i && !edit.seen);
    if (op) {
      op.seen = true;
      const [a, b] = op.text_span;
      if (b > a) out.push(h("del", {}, old(a, b)), " ");
      // A replacement keeps the marks that follow the old words.
      const after = b > a ? text.slice(words[b - 1].to, b < words.length ? words[b].from : text.length) : " ";
      if (op.new) out.push(h("ins", {}, op.new), after);
      i = Math.max(i, b);
      skipped = false;
      continue;
    }
    if (i === words.length) break;
    if (near(i)) {
      out.push(text.slice(words[i].from, i + 1 < words.length ? words[i + 1].from : text.length));
      skipped = false;
    } else if (!skipped) {
      out.push("… ");
      skipped = true;
    }
    i += 1;
  }
  edits.forEach((op) => delete op.seen);
  return h("p", { class: "diff" }, out);
}

/** One operation in words. */
export function describe(op) {
  if (op.type === "deletion") return t("op_delete", { old: op.old });
  if (op.type === "insertion") return t("op_insert", { new: op.new });
  if (op.type === "substitution") return t("op_replace", { old: op.old, new: op.new });
  const { params } = op;
  const signed = (value) => `${value > 0 ? "+" : "−"}${Math.abs(value)}`;
  switch (op.type) {
    case "volume": if (params.db !== undefined) return t("op_volume", { db: signed(params.db) }); break;
    case "speed": return t("op_speed", { factor: params.factor });
    case "pitch": return t("op_pitch", { semitones: signed(params.semitones) });
    case "loudness": return t("op_loudness", { lufs: params.lufs });
    case "add_sound": return t("op_sound", { sound: params.sound });
    case "denoise": return t("q_denoise");
    case "reverb": return t("q_reverb");
    default:
  }
  const values = Object.entries(params).filter(([, value]) => value !== null && value !== "").map(([name, value]) => `${name} ${value}`).join(", ");
  return `${op.type.replaceAll("_", " ")}${values ? ` (${values})` : ""}`;
}

/** A plan in a few words, for the history. */
export function title(plan) {
  // Sounds are named as they were asked for; words that were selected have no instruction of their own.
  const said = plan.operations.every((op) => op.text_span) ? plan.operations.map(describe).join(" · ") : plan.instruction;
  return said.length > 90 ? `${said.slice(0, 89)}…` : said;
}

function sureness(op, words) {
  if (!op.text_span || !words?.length) return null;
  const [a, b] = op.text_span;
  // What counts is where the cuts are: the words at both edges, and their neighbours.
  const around = [a - 1, a, b - 1, b].filter((i) => i >= 0 && i < words.length).map((i) => words[i].score);
  const least = Math.min(...around);
  const grade = least >= 0.5 ? "High" : least >= 0.2 ? "Mid" : "Low";
  return h("li", { class: `sure-${grade.toLowerCase()}` }, `${t(`sure${grade}`)} (${least.toFixed(2)})`);
}

function row(op, words, hear) {
  const span = op.time_span;
  const by = op.backend === "splice" && op.new ? "spliceNew" : op.backend || "none";
  const known = ["splice", "spliceNew", "dsp", "lm", "none"].includes(by);
  return h("div", { class: "operation" },
    h("p", { class: "what" }, describe(op)),
    h("ul", { class: "facts" },
      h("li", {}, span ? `${clock(span[0])} – ${clock(span[1])}` : t("whole")),
      h("li", {}, known ? t(`by_${by}`) : by),
      sureness(op, words),
      op.new ? h("li", { class: "synthetic" }, t("synthetic", { new: op.new })) : null),
    span && hear ? button(t("hearPlace"), () => hear(span), { sign: "play", kind: "small quiet" }) : null);
}

/** The plan before anything happens. `act`: apply(), cancel(), hear(span). */
export function planCard(plan, words, act) {
  const card = h("section", { class: "card plan", "aria-label": t("planTitle") },
    h("h2", {}, t("planTitle")),
    h("p", { class: "muted" }, t("planNothing"), plan.operations.some((op) => op.new || op.backend === "lm") ? "" : ` ${t("noSynthetic")}`),
    diff(plan, words),
    plan.operations.map((op) => row(op, words, act.hear)),
    plan.assumptions.length ? h("p", { class: "muted" }, `${t("assumed")}: ${plan.assumptions.join("; ")}`) : null,
    h("div", { class: "row" },
      button(t("apply"), act.apply, { sign: "check", kind: "main", id: "apply" }),
      button(t("cancel"), act.cancel)));
  return card;
}

/** The readings of an instruction; each is heard when it is pointed at. */
export function choicesCard(choices, words, act) {
  return h("section", { class: "card plan", "aria-label": t("choose") },
    h("h2", {}, t("choose")),
    h("p", { class: "muted" }, t("chooseHint")),
    h("ul", { class: "choices" }, choices.map((choice) => {
      const span = choice.plan.operations.find((op) => op.time_span)?.time_span;
      const hear = () => span && act.hear([span[0] - 0.4, span[1] + 0.4]);
      return h("li", {}, h("button", { type: "button", class: "button choice", onclick: () => act.choose(choice), onpointerenter: hear, onfocus: hear },
        diff(choice.plan, words) ?? choice.label, span ? h("span", { class: "muted time" }, clock(span[0])) : null));
    })),
    h("div", { class: "row" }, button(t("cancel"), act.cancel)));
}

/** What an edit did. */
export function doneCard(step, words, act) {
  const { plan, equal, compared, receipt } = step.made;
  const checked = compared === 0
    ? h("p", {}, t("wholeChanged"))
    : h("p", { class: equal === compared ? "ok" : "bad" },
      h("strong", {}, t(equal === compared ? "unchanged" : "notEqual")), " ",
      t("equalCount", { equal: equal.toLocaleString(), compared: compared.toLocaleString() }));
  const warnings = [...receipt.warnings, ...step.notes];
  const synthetic = plan.operations.some((op) => op.new);
  return h("section", { class: "card done", "aria-label": t("done") },
    h("h2", {}, t("done")),
    diff(plan, words) ?? h("p", { class: "what" }, title(plan)),
    checked,
    receipt.watermark?.marked ? h("p", { class: "muted" }, t("marked")) : null,
    warnings.length ? h("details", {}, h("summary", {}, t("notes")), h("ul", {}, warnings.map((note) => h("li", {}, note)))) : null,
    h("div", { class: "row" },
      button(t("undoThis"), act.undo, { sign: "undo" }),
      synthetic ? button(t("otherTake"), act.again, { sign: "redo", kind: "quiet" }) : null));
}
