import { expect, test } from "vitest";
import { MemoryGauge } from "./memory-gauge.ts";

test("the peak of one process is its largest report", () => {
  const gauge = new MemoryGauge();
  const one = {};
  gauge.started(one);
  gauge.report(one, 2, 5);
  gauge.report(one, 1, 5);
  expect(gauge.peak).toBe(5);
});

test("memory held at the same time is added up, and memory held one after the other is not", () => {
  const gauge = new MemoryGauge();
  const [encoders, unet] = [{}, {}];
  gauge.started(encoders);
  gauge.report(encoders, 4, 6);
  gauge.report(encoders, 1, 6); // frees its models
  gauge.started(unet);
  gauge.report(unet, 8, 8);
  expect(gauge.peak).toBe(9);
  gauge.report(encoders, 1, 6);
  expect(gauge.peak).toBe(9);
});

test("memory that one process held while the other worked counts, although it was freed meanwhile", () => {
  const gauge = new MemoryGauge();
  const [encoders, unet] = [{}, {}];
  gauge.started(encoders);
  gauge.started(unet);
  gauge.report(encoders, 5, 6);
  gauge.report(encoders, 1, 6);
  gauge.report(unet, 8, 8);
  expect(gauge.peak).toBe(14);
  gauge.report(unet, 7, 10);
  expect(gauge.peak).toBe(14); // not 16: the encoders held their 6 before the last report
});

test("a process that has ended counts as nothing", () => {
  const gauge = new MemoryGauge();
  const [one, two] = [{}, {}];
  gauge.started(one);
  gauge.report(one, 5, 5);
  gauge.ended(one);
  gauge.report(one, 9, 9);
  gauge.started(two);
  gauge.report(two, 6, 6);
  expect(gauge.peak).toBe(6);
});
