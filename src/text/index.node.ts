export type { Notice } from "../core/notice.ts";
export type { NoticeCode } from "../core/notice-codes.ts";
export { clipMerges } from "./clip-merges.node.ts";
export { createTokenizer, type Tokenizer, type TokenizerFiles } from "./tokenizer.ts";
export { readTokenizerFolder, sdxlTokenizer, type TokenizerName } from "./tokenizer-folder.node.ts";
export { expandTrigger, refuseTriggerInNegative, type TriggerPrompt } from "./trigger.ts";
export { encodePlain, type Window } from "./window.ts";
