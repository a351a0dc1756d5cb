import { seededRandom } from "../core/random/seeded-random.ts";
import { type DrawnPerson, drawPerson } from "./person.ts";
import { drawScene, type Scene, type SceneKind } from "./scene.ts";

const KINDS: readonly SceneKind[] = ["album", "free"];

/** Person number `index` of a seed's world. */
export const personAt = (seed: number, index: number): DrawnPerson => drawPerson(seededRandom(seed, index));

/** Picture number `picture` of that person, among those of its kind. */
export const sceneAt = (seed: number, index: number, picture: number, kind: SceneKind): Scene =>
  drawScene(personAt(seed, index), seededRandom(seed, index, KINDS.indexOf(kind), picture), kind);
