export { type Caption, type CaptionOptions, caption, captionOf, type ScenePart, VOCABULARY } from "./caption.ts";
export { groupScenes, type Member, PORTRAIT_SCALE, smallScene } from "./group.ts";
export { faceShapeWord, hairColourWord, skinWord } from "./identity-words.ts";
export { IDENTITY_CLASSES, identityLabels, identityVector, SCENE_CLASSES, sceneLabels } from "./labels.ts";
export { type FaceBox, faceBox, type Landmarks, landmarks, type Place } from "./landmarks.ts";
export {
  type AgeGroup,
  type ClassWord,
  type DrawnPerson,
  drawPerson,
  type Gender,
  IDENTITY_NUMBERS,
  type IdentityNumber,
  type PersonOptions,
} from "./person.ts";
export { personAt, sceneAt } from "./random-access.ts";
export { type RenderedPicture, renderIdImage, renderPeople, renderPicture, renderSvg } from "./render.ts";
export { classWordAt, drawScene, type Scene, type SceneKind } from "./scene.ts";
export { sceneSvg, type View } from "./scene-svg.ts";
