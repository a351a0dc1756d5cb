/** Reasons to leave out a picture or a person. */
export const REASONS = {
  "picture/unreadable": "the picture cannot be read",
  "caption/missing": "there is no caption",
  "caption/no-class-word": "the caption does not name the person's class word",
  "mask/missing": "there is no mask",
  "mask/unreadable": "the mask cannot be read",
  "mask/other-size": "the mask and the picture differ in size",
  "mask/empty": "the mask shows no person",
  "person/one-picture": "a person needs two pictures: one to learn, and one as ID image",
} as const;
export type DropReason = keyof typeof REASONS;

export interface Dropped {
  readonly path: string;
  readonly reason: DropReason;
  readonly message: string;
}

export const drop = (path: string, reason: DropReason, detail?: string): Dropped => ({
  path,
  reason,
  message: `${path}: ${REASONS[reason]}${detail === undefined ? "" : ` (${detail})`}`,
});
