/** Why a submission could not be judged: one sentence for its author, one for the developer of the app. */
export type Reason = { learner: string; developer: string };

const OUR_FAULT = "The judge is not available because of a problem on our side. Please try again later.";
const UNREACHABLE = "The judge could not be reached. Please submit again in a few minutes.";

const fault = (developer: string): Reason => ({ learner: OUR_FAULT, developer });

/** The reasons of this package. Gavel's own reasons arrive as results. */
export const reasons = {
  noUrl: () =>
    fault(
      "GAVEL_URL is not set. Set it to the URL of Gavel's ingress with " +
        '"npx convex env set GAVEL_URL https://judge.example.com", and bind it in convex.config.ts.',
    ),
  badUrl: (url: string) =>
    fault(
      `GAVEL_URL is not a URL that starts with http:// or https://: ${JSON.stringify(url)}. ` +
        'Set it with "npx convex env set GAVEL_URL https://judge.example.com".',
    ),
  unauthorized: (hasKey: boolean) =>
    fault(
      (hasKey ? "Gavel refused the key in GAVEL_KEY (401)." : "Gavel needs a key, but GAVEL_KEY is not set (401).") +
        ' Set it to one of the ingress\'s INGRESS_KEYS with "npx convex env set GAVEL_KEY …".',
    ),
  tooLarge: (status: number, answer: string): Reason => ({
    learner: "The source is too large for this judge. Please shorten it and submit again.",
    developer: `Gavel refused the source as too large (${status}): ${answer} See MAX_SOURCE_BYTES of the ingress.`,
  }),
  refused: (status: number, answer: string) =>
    fault(`Gavel answered ${status} instead of 202: ${answer} Check that GAVEL_URL is the URL of Gavel's ingress.`),
  unreachable: (lastFailure: string): Reason => ({
    learner: UNREACHABLE,
    developer: `No attempt to reach Gavel succeeded. Last failure: ${lastFailure}`,
  }),
  silent: (status: string): Reason => ({
    learner: "The judge has not answered for an hour. Please submit again.",
    developer:
      `Gavel accepted nothing, or reported no result, for an hour; the submission was ${status}. ` +
      "Run \"gavel doctor\", and check that Gavel's CONVEX_SITE_URL is the URL of this deployment's HTTP actions.",
  }),
};
