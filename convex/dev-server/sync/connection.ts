import type { JSONValue } from "convex/values";
import type { VerifiedToken } from "../auth";
import type { Deployment, Outcome } from "../deployment";
import type { Failure } from "../errors";
import type { PageJournal } from "../scope";
import {
  decodeTs,
  encodeTs,
  parseClientMessage,
  ProtocolError,
  splitTransition,
  type AddQuery,
  type ClientMessage,
  type FunctionRequest,
  type StateModification,
  type StateVersion,
} from "./messages";
import type { Sessions } from "./sessions";

/** The longest Transition that is sent in one piece, in characters. */
const MAX_TRANSITION_LENGTH = 1024 * 1024;

/** What a connection needs of the server and of its socket. */
export interface ConnectionContext {
  deployment: Deployment;
  sessions: Sessions;
  verify(token: string): Promise<VerifiedToken>;
  /** Sends a text message; resolves when the socket has taken it. */
  send(text: string): Promise<void>;
  /** Closes the socket. */
  close(reason: string): void;
}

interface Subscription {
  name: string;
  args: JSONValue;
  journal: PageJournal;
  /** The last result that was sent, as JSON. */
  sent?: string;
}

/** A failed authentication. `attempted`: it answers an Authenticate message. */
class AuthFailure extends Error {
  constructor(
    message: string,
    readonly attempted: boolean,
  ) {
    super(message);
  }
}

/**
 * One client's connection. Messages are handled one after another, each followed by a Transition if it changed what
 * the client sees; only actions run in parallel.
 */
export class Connection {
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #removed: number[] = [];
  #sent: StateVersion = { querySet: 0, identity: 0, ts: 0n };
  #querySet = 0;
  #identity = 0;
  #token: VerifiedToken | null = null;
  #sessionId: string | undefined;
  #observedTs = 0n;
  // How far the client's clock is ahead, in milliseconds. The client computes from it when to renew a token.
  #clientClockSkew = 0;
  #tasks: Promise<void> = Promise.resolve();
  #refreshPending = false;
  #closed = false;

  constructor(private readonly context: ConnectionContext) {}

  /** Handles a message of the client. */
  receive(text: string): void {
    this.#enqueue(() => this.#handle(parseClientMessage(text)));
  }

  /** Runs the queries again, because data changed. */
  refresh(): void {
    if (this.#refreshPending) return;
    this.#refreshPending = true;
    this.#enqueue(async () => {
      this.#refreshPending = false;
      await this.#transition();
    });
  }

  /** Forgets what is still to do: the socket is closed. */
  closed(): void {
    this.#closed = true;
  }

  #enqueue(task: () => Promise<void>): void {
    this.#tasks = this.#tasks
      .then(() => (this.#closed ? undefined : task()))
      .catch((error: unknown) => this.#fail(error));
  }

  async #handle(message: ClientMessage): Promise<void> {
    if (message.type === "Connect") {
      this.#sessionId = message.sessionId;
      this.#clientClockSkew = message.clientTs - Date.now();
      if (message.maxObservedTimestamp !== undefined) this.#observedTs = decodeTs(message.maxObservedTimestamp);
      return;
    }
    if (this.#sessionId === undefined) throw new ProtocolError(`${message.type} arrived before Connect.`);
    switch (message.type) {
      case "Authenticate":
        await this.#authenticate(message);
        return this.#transition();
      case "ModifyQuerySet":
        this.#modifyQuerySet(message);
        return this.#transition();
      case "Mutation":
        return this.#mutate(this.#sessionId, message);
      case "Action":
        this.#checkToken();
        void this.#act(message).catch((error: unknown) => this.#fail(error));
        return;
      case "Event":
        return;
    }
  }

  async #authenticate(message: Extract<ClientMessage, { type: "Authenticate" }>): Promise<void> {
    if (message.baseVersion !== this.#identity) throw new ProtocolError("Authenticate: baseVersion does not match.");
    if (message.tokenType === "Admin") throw new AuthFailure("This mock of Convex accepts no admin keys.", true);
    if (message.tokenType === "User") {
      try {
        this.#token = await this.context.verify(message.value ?? "");
      } catch (error) {
        throw new AuthFailure((error as Error).message, true);
      }
    } else {
      this.#token = null;
    }
    this.#identity += 1;
  }

  #modifyQuerySet(message: Extract<ClientMessage, { type: "ModifyQuerySet" }>): void {
    if (message.baseVersion !== this.#querySet) throw new ProtocolError("ModifyQuerySet: baseVersion does not match.");
    for (const modification of message.modifications) {
      if (modification.type === "Add") {
        this.#subscriptions.set(modification.queryId, subscriptionOf(modification));
      } else {
        this.#subscriptions.delete(modification.queryId);
        this.#removed.push(modification.queryId);
      }
    }
    this.#querySet = message.newVersion;
  }

  async #mutate(sessionId: string, request: FunctionRequest): Promise<void> {
    this.#checkToken();
    const { deployment, sessions } = this.context;
    const identity = this.#token?.identity ?? null;
    const answer = await sessions.once(sessionId, request.requestId, async () => {
      const outcome = await deployment.mutation(identity, request.udfPath, request.args[0] ?? {});
      return "failure" in outcome ? outcome : { value: outcome.value, ts: await deployment.lastCommit() };
    });
    const { requestId } = request;
    const head = { type: "MutationResponse", requestId, logLines: [] };
    if ("failure" in answer) return this.#send({ ...head, success: false, ...failureFields(answer.failure) });
    await this.#send({ ...head, success: true, result: answer.value, ts: encodeTs(answer.ts) });
    // Also if nothing changed: the client resolves the mutation at the next Transition.
    await this.#transition({ always: true });
  }

  async #act(request: FunctionRequest): Promise<void> {
    const identity = this.#token?.identity ?? null;
    const outcome = await this.context.deployment.action(identity, request.udfPath, request.args[0] ?? {});
    const head = { type: "ActionResponse", requestId: request.requestId, logLines: [] };
    if ("failure" in outcome) await this.#send({ ...head, success: false, ...failureFields(outcome.failure) });
    else await this.#send({ ...head, success: true, result: outcome.value });
  }

  /** Runs all queries and sends those whose result changed. Sends nothing if there is nothing new, unless `always`. */
  async #transition({ always = false } = {}): Promise<void> {
    this.#checkToken();
    const entries = [...this.#subscriptions];
    const identity = this.#token?.identity ?? null;
    const { ts, outcomes } = await this.context.deployment.query(
      identity,
      entries.map(([, subscription]) => subscription),
    );
    const modifications = this.#removed
      .splice(0)
      .map<StateModification>((queryId) => ({ type: "QueryRemoved", queryId }));
    for (const [i, [queryId, subscription]] of entries.entries()) {
      const modification = modificationOf(queryId, subscription, outcomes[i] as Outcome);
      // An error has a new request id each time; what it says is what counts.
      const sent = JSON.stringify(modification).replace(/\[Request ID: \w+\]/, "");
      if (sent === subscription.sent) continue;
      subscription.sent = sent;
      modifications.push(modification);
    }
    const isNewVersion = this.#querySet !== this.#sent.querySet || this.#identity !== this.#sent.identity;
    if (modifications.length === 0 && !isNewVersion && !always) return;
    await this.#sendTransition({ querySet: this.#querySet, identity: this.#identity, ts }, modifications);
  }

  async #sendTransition(version: StateVersion, modifications: StateModification[]): Promise<void> {
    // A client never sees time go backwards, also not after a restart of this server.
    const ts = [version.ts, this.#sent.ts, this.#observedTs].reduce((a, b) => (a > b ? a : b));
    const end = { ...version, ts };
    const startVersion = { ...this.#sent, ts: encodeTs(this.#sent.ts) };
    const endVersion = { ...end, ts: encodeTs(ts) };
    this.#sent = end;
    const clientClockSkew = this.#clientClockSkew;
    const text = JSON.stringify({ type: "Transition", startVersion, endVersion, modifications, clientClockSkew });
    for (const part of splitTransition(text, MAX_TRANSITION_LENGTH)) await this.context.send(part);
  }

  /** Fails if the user's token has expired. */
  #checkToken(): void {
    if (this.#token !== null && Date.now() >= this.#token.expiresAt) throw new AuthFailure("Token expired.", false);
  }

  async #send(message: object): Promise<void> {
    if (this.#closed) return;
    await this.context.send(JSON.stringify(message));
  }

  async #fail(error: unknown): Promise<void> {
    if (this.#closed) return;
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof AuthFailure) {
      const baseVersion = this.#identity;
      await this.#send({ type: "AuthError", error: reason, baseVersion, authUpdateAttempted: error.attempted });
    } else {
      await this.#send({ type: "FatalError", error: reason });
    }
    this.#closed = true;
    this.context.close(error instanceof AuthFailure ? "AuthError" : "FatalError");
  }
}

function subscriptionOf(query: AddQuery): Subscription {
  return { name: query.udfPath, args: query.args[0] ?? {}, journal: parseJournal(query.journal) };
}

function parseJournal(journal: string | null | undefined): PageJournal {
  if (journal == null) return {};
  try {
    const { endCursor } = JSON.parse(journal) as PageJournal;
    return endCursor === undefined ? {} : { endCursor };
  } catch {
    throw new ProtocolError("ModifyQuerySet: a journal is malformed.");
  }
}

function failureFields(failure: Failure) {
  return { result: failure.message, ...(failure.data === undefined ? {} : { errorData: failure.data }) };
}

function modificationOf(queryId: number, subscription: Subscription, outcome: Outcome): StateModification {
  const journal = subscription.journal.endCursor === undefined ? null : JSON.stringify(subscription.journal);
  if ("value" in outcome) return { type: "QueryUpdated", queryId, value: outcome.value, logLines: [], journal };
  const { message, data } = outcome.failure;
  const errorData = data === undefined ? {} : { errorData: data };
  return { type: "QueryFailed", queryId, errorMessage: message, logLines: [], ...errorData, journal };
}
