import type { PromptNode } from "./prompt-tree.ts";

/** A run of a prompt that is weighted alike. */
export interface PromptPiece {
  /** Absent for an embedding and a break. */
  readonly text?: string;
  /** Name of a textual inversion. */
  readonly embedding?: string;
  /** Here a new chunk begins. */
  readonly break?: true;
  readonly weight: number;
  /** Whether it comes and goes with the steps. */
  readonly scheduled: boolean;
}

/** A time in a run: its step, counted from 0, of so many. */
export interface AtStep {
  readonly step: number;
  readonly steps: number;
}

/** What a prompt says at a step, nested weights multiplied, neighbours of the same weight joined. */
export function piecesAt(nodes: readonly PromptNode[], at: AtStep): readonly PromptPiece[] {
  const pieces: PromptPiece[] = [];
  const add = (piece: PromptPiece): void => {
    const last = pieces.at(-1);
    const joins =
      last?.text !== undefined && piece.text !== undefined && last.weight === piece.weight && last.scheduled === piece.scheduled;
    if (joins) pieces[pieces.length - 1] = { ...last, text: last.text + piece.text };
    else pieces.push(piece);
  };
  const walk = (list: readonly PromptNode[], weight: number, scheduled: boolean): void => {
    for (const node of list)
      switch (node.kind) {
        case "text":
          add({ text: node.text, weight, scheduled });
          break;
        case "embedding":
          add({ embedding: node.name, weight, scheduled });
          break;
        case "break":
          add({ break: true, weight, scheduled });
          break;
        case "weighted":
          walk(node.nodes, weight * node.weight, scheduled);
          break;
        case "schedule": {
          const { when } = node;
          const changes = "share" in when ? Math.floor(when.share * at.steps + 1e-9) : when.step;
          walk(at.step < changes ? node.before : node.after, weight, true);
          break;
        }
        case "alternate":
          walk(node.turns[at.step % node.turns.length]!, weight, true);
      }
  };
  walk(nodes, 1, false);
  return pieces;
}

/** The text of pieces, without weights. */
export const plainText = (pieces: readonly PromptPiece[]): string =>
  pieces.map(({ text, embedding, break: isBreak }) => text ?? (isBreak ? " " : ` ${embedding} `)).join("");

/** The steps at which a prompt says something else than at the one before. */
export const switchesOf = (nodes: readonly PromptNode[], steps: number): number[] => {
  const said = Array.from({ length: steps }, (_, step) => JSON.stringify(piecesAt(nodes, { step, steps })));
  return said.flatMap((text, step) => (step > 0 && text !== said[step - 1] ? [step] : []));
};
