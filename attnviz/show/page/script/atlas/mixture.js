// A head as a mixture of roles: bars in the roles' colours, hatched where no role explains what it does.

import { h } from "../dom.js";
import { headName, percent } from "../writing.js";

/** @import { Atlas } from "./app.js" */
/** @import { Head } from "./types.js" */

export const UNKNOWN = -1;
const SHORTEST = 0.03; // a share that is named without being asked for

/** A role's colour; transparent for what is unknown. @param {Atlas} app @param {number} role */
export function roleColour(app, role) {
  return role === UNKNOWN ? "transparent" : app.survey.roles[role].colour;
}

/** What a role is called. @param {Atlas} app @param {number} role */
export function roleName(app, role) {
  if (role === UNKNOWN) return app.called("role", "unknown");
  const { name, title } = app.survey.roles[role];
  return app.called("role", name, title);
}

/** The shares of a head, in the order of all roles, what is unknown last. @param {Head} head @returns {[number, number][]} */
export function sharesOf(head) {
  const own = [...head.roles].sort((a, b) => a.role - b.role);
  /** @type {[number, number][]} */
  const shares = own.map(({ role, share }) => [role, share[0] ?? 0]);
  shares.push([UNKNOWN, head.unknown[0] ?? 0]);
  return shares;
}

/** The role with the largest share; UNKNOWN where more has none. @param {Head} head */
export function mostOf(head) {
  return sharesOf(head).reduce((most, one) => (one[1] > most[1] ? one : most), [UNKNOWN, 0])[0];
}

/** The bars as a background, from left to right. @param {Atlas} app @param {Head} head */
export function barsOf(app, head) {
  const shares = sharesOf(head);
  const whole = Math.max(
    1,
    shares.reduce((sum, [, share]) => sum + share, 0),
  );
  let at = 0;
  const stops = shares.map(([role, share]) => {
    const from = at;
    at += (100 * share) / whole;
    return `${roleColour(app, role)} ${from.toFixed(2)}% ${at.toFixed(2)}%`;
  });
  return `linear-gradient(to right, ${stops.join(", ")}, transparent ${at.toFixed(2)}%)`;
}

/** The mixture in words, the largest share first. @param {Atlas} app @param {Head} head */
export function mixtureText(app, head) {
  const shares = sharesOf(head).sort((a, b) => b[1] - a[1]);
  const told = shares.filter(([role, share]) => share >= SHORTEST || role === UNKNOWN);
  return told.map(([role, share]) => `${roleName(app, role)} ${percent(share)}`).join(" · ");
}

/** A head and its mixture in words. @param {Atlas} app @param {Head} head */
export function headText(app, head) {
  return `${headName(head.layer, head.head)}: ${mixtureText(app, head)}`;
}

/** The mixture as a bar. @param {Atlas} app @param {Head} head */
export function mixtureBar(app, head) {
  const bar = h("span", { class: "mixture", role: "img", "aria-label": mixtureText(app, head) });
  bar.style.setProperty("--bars", barsOf(app, head));
  return bar;
}

/**
 * The letter of the role with the largest share, and where the middle of its bar is, in percent; null where most is unknown.
 *
 * @param {Atlas} app @param {Head} head
 */
export function letterOf(app, head) {
  const most = mostOf(head);
  if (most === UNKNOWN) return null;
  let at = 0;
  for (const [role, share] of sharesOf(head)) {
    if (role === most) return { letter: app.survey.roles[role].letter, at: 100 * (at + share / 2) };
    at += share;
  }
  return null;
}

/** A role's colour and letter before its name. @param {Atlas} app @param {number} role */
export function swatch(app, role) {
  const letter = role === UNKNOWN ? "" : app.survey.roles[role].letter;
  const made = h("span", { class: "swatch", "aria-hidden": "true", "data-letter": letter });
  made.style.setProperty("--bars", `linear-gradient(${roleColour(app, role)} 0 100%)`);
  return made;
}

/**
 * The roles with their colours, and their shares of the attention of all heads; a click leaves their heads alone.
 *
 * @param {Atlas} app
 */
export function roleLegend(app) {
  const { heads, roles } = app.survey;
  const most = heads.map(mostOf);
  const shares = heads.map((head) => new Map(sharesOf(head)));
  const known = [...roles.keys()].filter((role) => heads.some((head) => head.roles.some((one) => one.role === role)));
  return h(
    "div",
    { class: "roles", role: "group", "aria-label": app.say("roles.legend") },
    ...[...known, UNKNOWN].map((role) => {
      const name = role === UNKNOWN ? "unknown" : roles[role].name;
      const on = app.state.role === name;
      const share = shares.reduce((sum, own) => sum + (own.get(role) ?? 0), 0) / heads.length;
      const values = {
        role: roleName(app, role),
        share: percent(share),
        count: shares.filter((own) => (own.get(role) ?? 0) > 0).length,
        most: most.filter((one) => one === role).length,
      };
      return h(
        "button",
        {
          type: "button",
          "aria-pressed": String(on),
          title: app.say("roles.most", values),
          onclick: () => app.set({ role: on ? "" : name }),
        },
        swatch(app, role),
        roleName(app, role),
        h("small", {}, share > 0 && share < 0.005 ? "<1%" : `${Math.round(100 * share)}%`),
      );
    }),
  );
}
