// Measures how far FID is from 0 for two sets of one distribution, at each number of pictures, and KID beside it; and how long both take.
//
//   npx tsx bench/evaluate/few-samples.ts [count ...]
//
// Features are drawn as normal numbers, 2,048 of them with variances 1, 1/2, 1/3 …; FID is given as a share of their sum.
import "../../scripts/show-help.ts";
import { gaussians } from "../../src/core/random/gaussians.ts";
import { seededRandom } from "../../src/core/random/seeded-random.ts";
import { type Matrix64, matrix } from "../../src/evaluate/linear-algebra/matrix.ts";
import { frechetOfSamples } from "../../src/evaluate/measures/frechet-distance.ts";
import { kernelDistanceOfSubsets } from "../../src/evaluate/measures/kernel-distance.ts";

const FEATURES = 2048;
const counts = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [100, 250, 500, 1000, 2000];
const variance = Array.from({ length: FEATURES }, (_, k) => 1 / (k + 1));
const whole = variance.reduce((a, b) => a + b, 0);

console.log("| pictures in each set | FID / variance | seconds | KID (100 subsets) | seconds |\n|---|---|---|---|---|");
for (const count of counts) {
  const draw = (set: number): Matrix64 => {
    const values = gaussians(seededRandom(count, set), count * FEATURES);
    return matrix(
      count,
      FEATURES,
      values.map((v, i) => v * Math.sqrt(variance[i % FEATURES]!)),
    );
  };
  const [x, y] = [draw(0), draw(1)];
  const [fid, forFid] = timed(() => frechetOfSamples(x, y) / whole);
  const [kid, forKid] = timed(() => kernelDistanceOfSubsets(x, y));
  console.log(
    `| ${count} | ${fid.toFixed(3)} | ${forFid.toFixed(1)} | ${(kid.value * 1e6).toFixed(2)}e-6 ± ${(kid.deviation * 1e6).toFixed(2)}e-6 | ${forKid.toFixed(1)} |`,
  );
}

function timed<T>(work: () => T): readonly [T, number] {
  const from = performance.now();
  const value = work();
  return [value, (performance.now() - from) / 1000];
}
