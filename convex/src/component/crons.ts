import { cronJobs } from "convex/server";
import { internal } from "./_generated/api.js";

const crons = cronJobs();
crons.interval("remove expired call ids", { minutes: 10 }, internal.replays.removeExpired, {});

export default crons;
