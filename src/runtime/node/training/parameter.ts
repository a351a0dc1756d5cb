/** An input of the graph that is a part of the long array of all that is trained; its gradient is an output, `grad:<name>`. */
export interface Fed {
  readonly name: string;
  readonly dims: readonly number[];
  /** Where its values begin in TrainingState's arrays. */
  readonly offset: number;
  readonly length: number;
}

/** A weight that is trained. */
export interface Parameter extends Fed {
  /** Which of the update's groups it belongs to. */
  readonly group: number;
  /** Updated as a matrix, by Muon; the others by AdamW. */
  readonly orthogonal?: boolean;
}
