// What was said, on its way to the studio: kept here until it has arrived, sent again, never doubled. And what is new there.
const POLL_S = 30;
const AWAY_S = [3, 6, 12, 25, 60];
const TOO_OFTEN = 429;
const NOT_NOW = [0, 401, 408, 425, 429, 500, 502, 503, 504]; // 0: nobody answered
let outbox = recall("outbox", []); // [{kind: "comment" | "verdict", … as the API takes it, created, problem?}]
let flushing = false;
let away = 0; // times in a row that nobody answered
let later = 0;
let looked = Date.now();
let gone = null; // {message, hint}: why this film is not to be seen any more

/** {status, answer}; status 0 where nobody answered. */
async function ask(method, path, body) {
  try {
    const headers = { accept: "application/json", ...(body && { "content-type": "application/json" }) };
    const answer = await fetch(facts.api + path, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(20_000) });
    const text = await answer.text();
    return { status: answer.status, answer: text ? JSON.parse(text) : null };
  } catch {
    return { status: 0, answer: null };
  }
}

const outboxChanged = () => {
  if (!keep("outbox", outbox) && outbox.length) notice("unkept", t("unkept"));
};

function post(entry) {
  if (entry.kind === "verdict") outbox = outbox.filter((one) => one.kind !== "verdict" || one.scene_id !== entry.scene_id);
  outbox.push(entry);
  outboxChanged();
  redraw();
  if (!offline) flush();
}

function drop(entry) {
  const now = recall("outbox", outbox); // another tab may have added to it
  outbox = now.filter((one) => (one.id ?? one.scene_id) !== (entry.id ?? entry.scene_id) || one.kind !== entry.kind);
  outboxChanged();
}

const send = ({ kind, problem, created, ...body }) =>
  kind === "comment" ? ask("POST", `reviews/${view.id}/comments`, body) : ask("PUT", `reviews/${view.id}/verdict`, body);

async function flush() {
  if (flushing || offline) return;
  flushing = true;
  stopWaiting();
  for (let entry; (entry = outbox.find((one) => !one.problem)); ) {
    const { status, answer } = await send(entry);
    if (NOT_NOW.includes(status)) {
      unanswered(status);
      break;
    }
    answered();
    if (status < 300) arrivedThere(entry, answer);
    else refused(entry, answer?.error);
    redraw();
  }
  flushing = false;
  drawLink();
}

function arrivedThere(entry, answer) {
  if (JSON.stringify(outbox.find((one) => one.id === entry.id && one.scene_id === entry.scene_id)) === JSON.stringify(entry)) drop(entry);
  if (entry.kind === "comment") {
    view.comments = [...view.comments.filter((one) => one.id !== answer.id), answer];
    tell(t("sent", { time: clock(answer.at) }));
  } else view = { ...answer, version: view.version };
}

function refused(entry, error) {
  const said = error ?? { message: t("refused"), hint: "" };
  tell(`${said.message} ${said.hint}`);
  if (entry.kind === "verdict") drop(entry), notice("refused", `${said.message} ${said.hint}`);
  else {
    entry.problem = `${said.message} ${said.hint}`;
    outboxChanged();
  }
}

function unanswered(status) {
  if (status === 401) return signedOut();
  if (status !== TOO_OFTEN) away += 1;
  const pause = status === TOO_OFTEN ? POLL_S : AWAY_S[Math.min(away, AWAY_S.length) - 1];
  stopWaiting();
  later = setTimeout(() => (outbox.length ? flush() : look()), pause * 1000);
  drawLink();
}

function stopWaiting() {
  clearTimeout(later);
  later = 0;
}

function answered() {
  if (away) tell(t("back"));
  away = 0;
  notice("signed_out", "");
  drawLink();
}

function signedOut() {
  const next = encodeURIComponent(location.pathname + location.search);
  notice("signed_out", t("signed_out"), el("a", { class: "btn primary", href: `../sign-in?next=${next}` }, t("sign_in")));
}

/** Asks the studio what is new. False where nothing can be shown. `quiet`: what is there is not news. */
async function look(quiet = false) {
  looked = Date.now();
  stopWaiting();
  const { status, answer } = await ask("GET", `reviews/${view.id}?version=${view.version.number}`);
  if (NOT_NOW.includes(status)) {
    unanswered(status);
    return false;
  }
  answered();
  if (status >= 300) {
    vanish(answer?.error ?? { message: t("refused"), hint: "" });
    return false;
  }
  if (gone && answer.version.film) location.reload();
  const known = new Set(view.comments.map((comment) => comment.id));
  const fresh = answer.comments.filter((comment) => !known.has(comment.id) && !comment.mine);
  if (fresh.length && !quiet) tell(t("fresh", { n: fresh.length }));
  view = { ...answer, version: view.version };
  redraw();
  flush();
  if (!answer.version.film) vanishDeleted();
  return answer.version.film;
}

const vanishDeleted = () => vanish({ message: t("film.deleted"), hint: t("film.deleted.hint") });

/** The film was withheld, closed or deleted while it was open here. What was not sent stays in the browser. */
function vanish(error) {
  if (gone) return;
  gone = error;
  film.pause();
  document.body.classList.add("gone");
  $("trouble").replaceChildren(el("h2", {}, error.message), el("p", {}, error.hint), el("a", { class: "btn", href: "../review" }, t("to_list")));
  $("trouble").hidden = false;
}

function drawLink() {
  const waits = outbox.filter((one) => !one.problem).length;
  const node = $("link");
  node.hidden = offline || (!away && !waits);
  node.replaceChildren(icon("wait"), el("span", {}, away ? t("away") : ""), waits ? el("span", {}, t("unsent", { n: waits })) : "");
}

function startSending() {
  if (offline) return;
  setInterval(() => !document.hidden && !later && look(), POLL_S * 1000);
  document.addEventListener("visibilitychange", () => !document.hidden && Date.now() - looked > (POLL_S * 1000) / 2 && look());
  addEventListener("online", () => (outbox.length ? flush() : look()));
  addEventListener("storage", (event) => {
    if (event.key !== place("outbox")) return;
    outbox = recall("outbox", []);
    redraw();
  });
  drawLink();
  flush();
}
