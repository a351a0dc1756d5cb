import { type Head, jawPath } from "../head.ts";
import { svg } from "../markup.ts";
import type { Pen } from "../pen.ts";

/** Draws the beard. The mouth is drawn over it later; only the moustache stays clear of the mouth. */
export function drawBeard(pen: Pen, head: Head): void {
  const { beard, beardColour, width: w, height: h, mouth, shift, nose } = head;
  const { y } = mouth;
  const m = mouth.width + 1.8;
  if (beard === "stubble" || beard === "full") {
    const [drop, top] = beard === "full" ? [1.07, h * 0.12] : [1, h * 0.3];
    const inner = svg`Q${-w * 0.8},${y - 3.4} ${-m + shift},${y - 3.8} Q${shift},${y - 5.4} ${m + shift},${y - 3.8} Q${w * 0.8},${y - 3.4} ${w},${top * 0.4}Z`;
    const d = svg`M${w},${-h * 0.05} ${jawPath(head, drop)} ${inner}`;
    const look = beard === "stubble" ? { opacity: 0.36, outline: false } : {};
    pen.path(d, beardColour, look);
    if (beard === "full") pen.ellipse(shift, y + 1.2, m * 0.72, 3.2, head.skin, { outline: false, opacity: 0.35 });
  }
  if (beard === "goatee") {
    const [a, b] = [m * 0.6, m * 0.74];
    const d = svg`M${-a + shift},${y + 2} Q${shift},${y + 3.6} ${a + shift},${y + 2} Q${b + shift * 0.7},${h * 1.04} ${shift * 0.5},${h * 1.16} Q${-b + shift * 0.7},${h * 1.04} ${-a + shift},${y + 2}Z`;
    pen.path(d, beardColour);
  }
  if (beard === "moustache" || beard === "goatee" || beard === "full") {
    const top = Math.max(nose.tip + 1.4, y - 5.6);
    const d = svg`M${-m + shift},${y + 0.4} Q${-m * 0.62 + shift},${top - 0.8} ${shift},${top} Q${m * 0.62 + shift},${top - 0.8} ${m + shift},${y + 0.4} Q${m * 0.5 + shift},${y - 1.2} ${shift},${y - 1.7} Q${-m * 0.5 + shift},${y - 1.2} ${-m + shift},${y + 0.4}Z`;
    pen.path(d, beardColour, { outline: beard === "moustache" });
  }
}
