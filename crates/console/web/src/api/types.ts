// The JSON API of the console. All paths start with /api. All times are RFC 3339 in UTC with milliseconds
// ("2026-01-31T12:00:00.000Z"), all durations are numbers in milliseconds unless the name says otherwise.
// Optional fields ("?") are left out of the JSON, never null, unless the type says "| null".
//
// Every answer that is not 2xx has the body ApiError. Statuses: 400 invalid request, 401 key missing or wrong, 403 read-only or
// cross-site, 404 unknown, 405, 413, 415 (POST without application/json), 421 (Host not allowed), 503 NATS is unreachable (at
// once, never hangs: show `error` and `remedy`, and try again in a few seconds).
export interface ApiError {
  error: string;
  remedy?: string;
}

// The key goes into `Authorization: Bearer KEY`, on POST and on the two /source paths; on the other paths it is ignored, except
// that GET /api/session says whether it is right.

// ---- GET /api/session
export interface Session {
  version: string;
  /** Started with a key, so that changes and sources are possible with it. */
  writable: boolean;
  /** The request had the right key. */
  keyValid: boolean;
  /** Name of this connection for the audit record, such as "ann@host via console". */
  operator: string;
}

// ---- GET /api/overview ; the same object comes as the SSE event "overview" about every 2.5 s
export interface Overview {
  /** When it was collected; absent before the first collection. */
  at?: string;
  /** Is NATS connected now? If not, the rest is the last known state (or empty arrays). */
  connected: boolean;
  /** Sentences: worst first. Empty: all is well. */
  problems: Problem[];
  stages: Stage[];
  streams: StreamSize[];
  instances: Instance[];
  /** Convex and Judge0 as each instance sees them. */
  peers: Peer[];
  /** Languages that submissions wait for because some judge lacks them. */
  waitingLanguages: WaitingLanguage[];
  /** Dead letters of the last 24 hours by stage and cause, the most frequent first. */
  dead: DeadCount[];
  clockSkewMs: number;
}
export interface Problem {
  severity: "problem" | "notice";
  /** What is meant, such as "judge", "Convex as reporter-x-1 sees it", "stream SUB_READY". */
  name: string;
  /** The clause or sentence that says what is wrong. Show as `${name}: ${what}`. */
  what: string;
  remedy?: string;
  /** A page of the console that helps, such as "/dead-letters" or "/submissions?stage=running". */
  link?: string;
}
export interface Stage {
  /** "fetcher" | "fetcher-expired" | "judge" | "reporter-running" | "reporter-judged" (names of the consumers) */
  stage: string;
  waiting: number;
  /** In progress. */
  inHand: number;
  redelivered: number;
  perSecond: number;
  oldestMs?: number;
  /** Slots of all instances of this service together, and how many are busy. */
  slots: number;
  busy: number;
}
export interface StreamSize {
  stream: string;
  messages: number;
  bytes: number;
  maxBytes?: number;
}
export interface Instance {
  /** "ingress" | "fetcher" | "judge" | "reporter" */
  service: string;
  instance: string;
  version: string;
  upMs: number;
  slots: number;
  busy: number;
  /** How many languages it serves, and by which engines. */
  languages: number;
  engines: string[];
  problems?: string[];
  heardMs: number;
  /** Judges only: what it has started and not ended, oldest first, at most 50. */
  running?: RunningSubmission[];
}
export interface RunningSubmission {
  id: string;
  generation: number;
  language?: number;
  languageName?: string;
  question?: string;
  since: string;
}
export interface Peer {
  name: string;
  seenBy: string;
  problem?: string;
  /** How long in this state; absent: never called. */ forMs?: number;
}
export interface WaitingLanguage {
  language: number;
  name: string;
  submissions: number;
  oldestMs: number;
  servedBy: string[];
}
export interface DeadCount {
  stage: string;
  cause: string;
  count: number;
}

// ---- GET /api/history
export interface History {
  /** Is the last hour read completely? false for a moment after the start of the console. */
  complete: boolean;
  /** 60 minutes, oldest first, the last one is the present, unfinished one. Minutes without a verdict are included. */
  minutes: Minute[];
}
export interface Minute {
  /** Start of the minute. */
  at: string;
  passed: number;
  failed: number;
  error: number;
  /** Submissions that were queued in that minute. */
  queued: number;
  /** Dead letters of that minute. */
  dead: number;
  /** From acceptance to the start of the judge; null without a verdict in that minute. */
  waitingP50: number | null;
  waitingP95: number | null;
  /** From the start of the judge to the verdict. */
  judgingP50: number | null;
  judgingP95: number | null;
}

// ---- GET /api/submissions?id=&question=&stage=&lang=&status=&kind=&errors=true&slow=5s&where=…&limit=100&before=…&since=…
// The filters of `gavel tap`, applied to the present state of each submission (its merged events). id, stage, lang, status may be
// given several times or separated by commas. `where` is the expression of `gavel tap --where`; 400 with the parser's message.
// Without `since`: what the console holds (the last hour, at most 20,000), the last changed first; `next` is the value for
// `before`. With `since` (age such as 6h, or a UTC time): reads the stored history from there, up to a bound; then `next` is the
// value for `since` of the next request (`nextIs` says which).
export interface Submissions {
  rows: Row[];
  next?: string;
  nextIs?: "before" | "since";
  /** Is everything of the last hour read? (as in History) */
  complete: boolean;
}
/** One generation of a submission, as its events so far describe it. key = `${id}.${generation}`. */
export interface Row {
  id: string;
  generation: number;
  /** Its last event: queued, ready, waiting, expired, running, judged, reported, rejudged, dead, undecodable. */
  stage: string;
  /** Time of its last event, and of the first one that is known. */
  time: string;
  firstTime: string;
  question?: string;
  language?: number;
  languageName?: string;
  kind?: "standard" | "personalized";
  status?: "passed" | "failed" | "error";
  passed?: number;
  total?: number;
  /** Why it failed, ended as an error or became a dead letter. */
  reason?: string;
  /** From acceptance to the verdict. */
  durationMs?: number;
  /** The instance of the last event. */
  instance?: string;
  toolchain?: string;
  /** Deliveries of the message that led to the last event. */
  attempts?: number;
  /** The stage at which it failed permanently ("fetcher" | "judge" | "reporter"). */
  gaveUp?: string;
  requestId?: string;
  sourceBytes?: number;
  /** The last event in a few words, as `gavel tap` prints it. */
  says: string;
}

// ---- GET /api/live?overview=true&submissions=true&<filters of /api/submissions>   (text/event-stream)
// One EventSource per page. Events:
//   event: overview      data: Overview            (if asked for; at once, then about every 2.5 s; no id)
//   event: minute        data: Minute[]            (if overview is asked for: the last two minutes again, every 5 s)
//   event: submissions   data: Batch   id: …       (if asked for; at most 4 per second)
//   event: nats          data: NatsState           (at once, and when the connection is lost or back)
// After a lost connection the browser sends Last-Event-ID and gets what has changed since, also after a restart of the console.
// Rows are states, not differences: replace the row with the same key. Without Last-Event-ID it begins with what changes from now
// on, so GET /api/submissions after opening the EventSource (or before: a row may then come twice, which does no harm).
export interface Batch {
  /** Changed rows that match the filter, oldest change first, at most 200: the newest ones. */
  rows: Row[];
  /** Matching changed rows that are left out, because there are more than 200. */
  skipped: number;
  /** Events in this batch, before the filter: all, and by stage and by verdict. */
  events: number;
  byStage: Record<string, number>;
  byStatus: Record<string, number>;
  /** Milliseconds that this batch covers. */
  coversMs: number;
  /** After a lost connection: more has changed than the console holds, so load the page's data again. */
  reload?: boolean;
}
export interface NatsState {
  connected: boolean;
  /** A sentence, if not connected. */ problem?: string;
  remedy?: string;
}

// ---- GET /api/submissions/ID
export interface Submission {
  id: string;
  /** Oldest generation first. */
  generations: Generation[];
  /** All dead letters of it, oldest first. */
  deadLetters: DeadLetter[];
  /** Equivalent commands to copy. */
  commands: Command[];
}
export interface Command {
  title: string;
  command: string;
}
/** The same as one of `runs` of `gavel trace --json`, with `summary`. */
export interface Generation {
  generation: number;
  /** As `gavel tap -o jsonl` prints them, in order; never sources, outputs or test data. */
  events: EventInfo[];
  spans: Span[];
  callbacks?: Callback[];
  /** What it waits for, if it has not ended. */
  waitsFor?: { stage: string; ahead?: number; aboutMs?: number; sentence: string };
  totalMs: number;
  ended: boolean;
  /** The sentences with which `gavel trace` ends, such as "Ended 812ms after it was queued." or "Not ended: in the judge queue …". */
  conclusion: string;
  /** The right to the first callback. */
  claim?: { at: string; instance: string; call: "running" | "result" };
}
export interface EventInfo {
  time: string;
  stage: string;
  id: string;
  generation: number;
  subject: string;
  question?: string;
  language?: number;
  languageName?: string;
  kind?: string;
  status?: string;
  passed?: number;
  total?: number;
  reason?: string;
  durationMs?: number;
  readyAt?: string;
  toolchain?: string;
  instance?: string;
  handedOnBy?: string;
  attempts?: number;
  gaveUp?: string;
  from?: string;
  gapMs?: number;
  requestId?: string;
  bytes: number;
  sourceBytes?: number;
  sourceSha256?: string;
  tests?: TestResult[];
  /** In a few words. */
  says: string;
}
/** Only how the test ended, and its measurements. Input, output and expected output are never part of it, hidden or not. */
export interface TestResult {
  ending: string;
  cpuUs: number;
  wallUs: number;
  memoryBytes: number;
}
/** A bar of the waterfall: from `fromMs` after the first event, `ms` long. */
export interface Span {
  after: string;
  isWork: boolean;
  fromMs: number;
  ms: number;
  what: string;
}
export interface Callback {
  call: "running" | "result";
  instance: string;
  begunMs?: number;
  tookMs?: number;
  status?: number;
  answer: string;
}

// ---- GET /api/submissions/ID/source   (key; logged)
export interface Source {
  id: string;
  /** One per generation that still has something, oldest first. */
  generations: SourceOfGeneration[];
}
export interface SourceOfGeneration {
  generation: number;
  language?: number;
  source?: string;
  compileOutput?: string;
  stderr?: string;
  /** The first failing test as the learner sees it: input and expected output only of a public test. */
  firstFailure?: {
    index: number;
    stdin?: string;
    actualOutput?: string;
    expectedOutput?: string;
    errorMessage: string;
  };
}

// ---- GET /api/dead-letters
export interface DeadLetterGroups {
  total: number;
  /** Most frequent first. */
  groups: DeadLetterGroup[];
  /** There are more than the console reads at a time (20,000). */
  truncated: boolean;
}
export interface DeadLetterGroup {
  stage: string;
  cause: string;
  count: number;
  oldest: string;
  newest: string;
  /** How many of them can be retried (have the key of a submission). */ retryable: number;
}

// ---- GET /api/dead-letters/items?stage=…&cause=…&after=SEQUENCE&limit=100     (stage, cause: of a group, both optional)
export interface DeadLetterPage {
  items: DeadLetter[];
  /** `after` of the next page. */ next?: number;
}
export interface DeadLetter {
  sequence: number;
  /** The key in its subject: id or id.generation; anything, if a stranger published it. */
  key: string;
  id?: string;
  generation?: number;
  diedAt: string;
  requestId?: string;
  stage?: string;
  /** The whole cause. In a group only its first line counts. */
  cause?: string;
  attempts?: number;
  subject?: string;
  storedAt?: string;
  bytes?: number;
}

// ---- GET /api/dead-letters/SEQUENCE
export interface DeadLetterShow extends DeadLetter {
  /** The message that failed, without source and test data: question, language, size and digest of the source, or why it is unreadable. */
  message: Record<string, unknown>;
  history: { event: string; generation: number; at: string }[];
  commands: Command[];
}
// ---- GET /api/dead-letters/SEQUENCE/source   (key; logged)
export interface DeadLetterSource {
  sequence: number;
  source?: string;
}

// ---- POST /api/dead-letters/retry and POST /api/dead-letters/drop   (key)
// One of: sequences (at most 1,000), or a group. A group is worked on for at most about 20 s per request: while `left` > 0, send
// the same request again (show progress). The request lists the newest state; nothing is done twice.
export type DeadLetterAction = { sequences: number[] } | { stage: string; cause: string };
export interface ActionResult {
  results: Outcome[];
  /** How many are left to do. */
  left: number;
  /** Why it stopped before the end, such as a lost connection to NATS. */
  problem?: string;
}
export interface Outcome {
  /** Submission, or the key of a dead letter without one. */
  id: string;
  sequence?: number;
  outcome: "started" | "resumed" | "would start" | "dropped" | "refused";
  generation?: number;
  stage?: string;
  /** A sentence: "generation 2 started at the judge", or why it was refused. */
  detail: string;
}

// ---- POST /api/rejudge   (key)
// ids (at most 1,000), or question and since (an age such as 2h, or better a UTC time, so that a continued run is the same run).
// dryRun changes nothing. With a question it works for at most about 20 s: while `left` > 0, send the same request again.
export interface RejudgeRequest {
  ids?: string[];
  question?: string;
  since?: string;
  reason?: string;
  dryRun?: boolean;
}
export interface RejudgeResult extends ActionResult {
  /** The run, if a question was given. `done`: judged again before this request. `total`: all submissions of it. */
  run?: { beganAt: string; done: number; total: number };
  /** The start of the range as a time: use it as `since` of the real run after a dry run. */
  since?: string;
}
