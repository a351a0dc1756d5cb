import type { Command } from "commander";
import { nearestName } from "../contract/nearest-name.ts";

/**
 * Checks that the arguments name known commands, and turns `help` into `--help`. Commander alone shows the parent's help for an unknown name
 * followed by --help, and does not understand `help` before a name of two words.
 *
 * @returns the arguments, `help` as `--help`
 * @throws CommanderError commander.unknownCommand
 */
export function withNamedCommand(program: Command, args: readonly string[]): string[] {
  const kept: string[] = [];
  let help = false;
  let command = program;
  for (const [i, arg] of args.entries()) {
    if (command.commands.length === 0) {
      kept.push(...args.slice(i));
      break;
    }
    if (arg === "help") help = true;
    else kept.push(arg);
    if (arg === "help" || arg.startsWith("-")) continue;
    const next = command.commands.find((each) => each.name() === arg);
    if (next === undefined) return unknown(command, arg);
    command = next;
  }
  return help ? [...kept, "--help"] : kept;
}

function unknown(command: Command, name: string): never {
  const known = command.commands.map((each) => each.name());
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? `The commands are ${known.join(", ")}.` : `Did you mean ${nearest}?`;
  command.error(`error: unknown command '${name}'\n(${hint})`, { code: "commander.unknownCommand", exitCode: 1 });
}
