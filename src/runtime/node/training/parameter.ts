/** An input of the graph that is a slice of the array of all parameters; its gradient is the output `grad:<name>`. */
export interface Fed {
  readonly name: string;
  readonly dims: readonly number[];
  /** Index of its first value in TrainingState's arrays. */
  readonly offset: number;
  readonly length: number;
}

/** A weight that is trained. */
export interface Parameter extends Fed {
  /** Index into the update's groups. */
  readonly group: number;
  /** Whether it is updated as a matrix, by Muon; the others are updated by AdamW. */
  readonly orthogonal?: boolean;
}
