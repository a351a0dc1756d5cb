import fc from "fast-check";
import { expect, test } from "vitest";
import { chooseDue, type DueJob, dueOrder } from "./due-order.ts";

const DUE = fc
  .array(
    fc.record({
      owner: fc.constantFrom("ann", "ben", "cat", "dan"),
      queue: fc.constantFrom("a", "b"),
      priority: fc.constantFrom(1, 5, 10),
      passed: fc.nat(9),
    }),
    { maxLength: 60 },
  )
  .map((jobs) => jobs.map((job, place): DueJob => ({ ...job, id: String(place), place, waiting: 1 })));
const SERVED = fc
  .array(fc.nat(20), { minLength: 4, maxLength: 4 })
  .map((at) => new Map(["ann", "ben", "cat", "dan"].map((o, i) => [o, at[i]!])));

test("the order keeps every job, goes by priority, and for one owner by place", () => {
  fc.assert(
    fc.property(DUE, SERVED, (due, served) => {
      const order = dueOrder(due, served);
      expect(order.map(({ id }) => id).sort()).toEqual(due.map(({ id }) => id).sort());
      for (const [i, job] of order.entries())
        for (const later of order.slice(i + 1)) {
          expect(job.priority).toBeLessThanOrEqual(later.priority);
          if (job.owner === later.owner && job.priority === later.priority) expect(job.place).toBeLessThan(later.place);
        }
    }),
  );
});

test("in the first places of a priority each owner stands once, who was served longest ago first", () => {
  fc.assert(
    fc.property(DUE, SERVED, (due, served) => {
      const urgent = due.filter(({ priority }) => priority === 1);
      const owners = [...new Set(urgent.map(({ owner }) => owner))];
      const first = dueOrder(due, served).slice(0, owners.length);
      expect(first.map(({ owner }) => owner).sort()).toEqual(owners.sort());
      const times = first.map(({ owner }) => served.get(owner)!);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    }),
  );
});

test("what is loaded is looked for among 32, of the same priority, and the next is passed over 8 times at most", () => {
  const jobs = (count: number, queue: string, passed = 0): DueJob[] =>
    Array.from({ length: count }, (_, i) => ({
      id: `${queue}${i}`,
      owner: "ann",
      queue,
      priority: 5,
      place: i,
      waiting: 1,
      passed,
    }));
  const loaded = new Set(["b"]);
  expect(chooseDue([], loaded)).toEqual({});
  expect(chooseDue([...jobs(31, "a"), ...jobs(1, "b")], loaded)).toMatchObject({
    chosen: { id: "b0" },
    passedOver: { id: "a0" },
  });
  expect(chooseDue([...jobs(32, "a"), ...jobs(1, "b")], loaded)).toEqual({ chosen: jobs(1, "a")[0] });
  expect(chooseDue([...jobs(1, "a", 7), ...jobs(1, "b")], loaded).chosen?.id).toBe("b0");
  expect(chooseDue([...jobs(1, "a", 8), ...jobs(1, "b")], loaded).chosen?.id).toBe("a0");
  const later = jobs(1, "b").map((job) => ({ ...job, priority: 10 }));
  expect(chooseDue([...jobs(1, "a"), ...later], loaded).chosen?.id).toBe("a0");
});
