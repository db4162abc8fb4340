// Where the studio lies: at the root of its own port, or below a path of somebody's proxy. The head script knows which
// (studio/tabs/kit/theme.py). Every address of ours goes through here; a test finds the one that does not.

/** "/api/queues" as the browser must ask for it. */
export const address = (path) => window.lanterna.base + path;
