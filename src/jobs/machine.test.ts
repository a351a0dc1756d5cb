import { expect, test } from "vitest";
import { type JobRecord, stateOf } from "./job.ts";
import { claimTask, loseTask, nextTask, renewTask } from "./machine.ts";

const task = { state: "waiting", attempt: 0, failures: 0, renewals: 0 } as const;
const job: JobRecord = {
  id: "a",
  number: 1,
  owner: "ann",
  queue: "q",
  kind: "generate",
  payload: {},
  priority: 5,
  place: 1,
  passed: 0,
  cancelled: false,
  lostWorkers: [],
  tasks: [task, task, task],
  createdAt: 0,
  changedAt: 0,
};
const PATIENCE = { attempts: 3, losses: 2 };

test("a holder that gave a sign of life after it was thought lost keeps its task", () => {
  const taken = claimTask(job, 0, "secret", "w1")!;
  const seen = taken.tasks[0]!;
  const renewed = renewTask(taken, { job: "a", task: 0, attempt: 1, token: "secret" })!;
  expect(loseTask(renewed, 0, seen, PATIENCE)).toBeUndefined();
  expect(loseTask(renewed, 0, { ...renewed.tasks[0]!, attempt: 2 }, PATIENCE)).toBeUndefined();
  expect(loseTask(renewed, 0, renewed.tasks[0]!, PATIENCE)?.tasks[0]).toMatchObject({ state: "waiting", failures: 1 });
});

test("one worker that is lost with two tasks counts once, and a second one sets the job aside", () => {
  let now = claimTask(claimTask(job, 0, "s1", "w1")!, 1, "s2", "w1")!;
  now = loseTask(now, 0, now.tasks[0]!, PATIENCE)!;
  now = loseTask(now, 1, now.tasks[1]!, PATIENCE)!;
  expect([now.lostWorkers, stateOf(now), nextTask(now)]).toEqual([["w1"], "waiting", 0]);
  now = claimTask(now, 0, "s3", "w2")!;
  now = loseTask(now, 0, now.tasks[0]!, PATIENCE)!;
  expect([now.lostWorkers, stateOf(now), nextTask(now)]).toEqual([["w1", "w2"], "failed", -1]);
});
