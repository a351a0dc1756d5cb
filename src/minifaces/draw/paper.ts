import { seededRandom } from "../../core/random/seeded-random.ts";
import { hex } from "../colour.ts";
import { svg } from "../markup.ts";
import { PAPER } from "../pen.ts";
import type { Scene } from "../scene.ts";

/** Draws the blank paper around a watercolour, with the uneven edge of its washes. */
export function paperBorder({ detail }: Scene): string {
  const { uniform } = seededRandom(detail, 2);
  const points = Array.from({ length: 20 }, (_, k) => {
    const angle = (2 * Math.PI * k) / 20;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const reach = Math.min(58, 45.5 / Math.max(Math.abs(cos) ** 0.8, Math.abs(sin) ** 0.8)) + uniform(-1.6, 1.6);
    return [50 + reach * cos, 50 + reach * sin] as const;
  });
  const middle = (i: number) => {
    const [a, b] = [points[i % 20]!, points[(i + 1) % 20]!];
    return svg`${(a[0] + b[0]) / 2},${(a[1] + b[1]) / 2}`;
  };
  const edge = points.map((_, i) => svg`Q${points[(i + 1) % 20]![0]},${points[(i + 1) % 20]![1]} ${middle(i + 1)}`).join(" ");
  return `<path d="M-2,-2 H102 V102 H-2Z M${middle(0)} ${edge}Z" fill="${hex(PAPER.watercolor)}" fill-rule="evenodd"/>`;
}
