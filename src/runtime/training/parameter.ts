/** A weight that is trained: an input of the graph, and a part of one long array. */
export interface Parameter {
  readonly name: string;
  readonly dims: readonly number[];
  /** Where its values begin in TrainingState's arrays. */
  readonly offset: number;
  readonly length: number;
  /** Which of the update's groups it belongs to. */
  readonly group: number;
  /** Updated as a matrix, by Muon; the others by AdamW. */
  readonly orthogonal?: boolean;
}
