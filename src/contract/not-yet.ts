import { UserError } from "../core/errors.ts";
import type { Control } from "./control.ts";
import type { Person } from "./person.ts";

/** Fields of a person that are not implemented yet. */
const OF_A_PERSON = ["trigger", "region", "from"] as const;

interface Asked {
  readonly people?: readonly Person[] | undefined;
  readonly control?: readonly Control[] | undefined;
}

const LATER = "Leave it out; a later version will have it.";

/**
 * Refuses what the schema of a request accepts and this version does not implement.
 * @throws UserError people/not-yet, control/not-yet
 */
export function refuseNotYet({ people = [], control = [] }: Asked): void {
  const refusePerson = (what: string) =>
    new UserError("people/not-yet", `${what} in people, and this version does not know how to draw that.`, LATER);
  if (people.length > 1) throw refusePerson(`There are ${people.length} persons`);
  for (const person of people) {
    const key = OF_A_PERSON.find((name) => person[name] !== undefined);
    if (key !== undefined) throw refusePerson(`A person has ${key}`);
  }
  if (control.length > 0)
    throw new UserError("control/not-yet", "control is given, and this version does not follow hints about shape.", LATER);
}
