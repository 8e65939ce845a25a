// All views, by their names.

/** @type {Partial<Record<import("./types.js").ViewName, (app: import("./app.js").App) => import("./types.js").View>>} */
export const viewsOf = {};
