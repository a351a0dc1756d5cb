/**
 * Wilcoxon's signed-rank test, exact, two sides: Wilcoxon 1945 (Biometrics Bulletin 1). Differences of 0 are left out, equal ones share their
 * rank. The probability of each sum of ranks is counted, in n³ steps, so no normal approximation is needed.
 * @param differences one a person
 * @returns the probability; 1 if no difference is left
 */
export function wilcoxon(differences: readonly number[]): number {
  const left = differences.filter((d) => d !== 0).sort((a, b) => Math.abs(a) - Math.abs(b));
  const ranks = doubledRanks(left.map(Math.abs));
  const total = ranks.reduce((a, b) => a + b, 0);
  const positive = ranks.reduce((sum, rank, i) => (left[i]! > 0 ? sum + rank : sum), 0);
  const smaller = Math.min(positive, total - positive);
  // probability of each sum of ranks, every sign being as likely as the other
  const chance = new Float64Array(total + 1);
  chance[0] = 1;
  let reached = 0;
  for (const rank of ranks) {
    reached += rank;
    for (let sum = reached; sum >= 0; sum--) chance[sum] = 0.5 * (chance[sum]! + (sum >= rank ? chance[sum - rank]! : 0));
  }
  let tail = 0;
  for (let sum = 0; sum <= smaller; sum++) tail += chance[sum]!;
  return Math.min(1, 2 * tail);
}

/** Twice the rank of each number, so that the middle of equal ones is whole. @param sorted ascending */
function doubledRanks(sorted: readonly number[]): number[] {
  return sorted.map((value) => sorted.indexOf(value) + sorted.lastIndexOf(value) + 2);
}
