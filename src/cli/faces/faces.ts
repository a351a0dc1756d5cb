import type { Command } from "commander";
import type { FacesReport } from "../../contract/faces.ts";
import { folderName } from "../terminal/flag-values.ts";
import type { CliIo } from "../terminal/io.ts";
import { createProgress } from "../terminal/progress.ts";

export interface FacesTools {
  readonly faces: () => Promise<Pick<typeof import("./look-at-files.ts"), "lookAtFiles">>;
}

interface Flags {
  readonly draw?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const HELP = `
Faces are numbered from the left. The person who is in most photos is chosen, else the largest face; PHOTO#2 chooses the second face
of a photo, PHOTO@0.31,0.4 the face at a point (shares of width and height), and --id-image of generate takes the same names.
With --draw, a picture of each photo shows boxes, points and numbers, the chosen face in green, the square that the ID encoder would see,
and a blue tint over what is not the person; NAME.id.png is what the encoder would see.

Examples:
  photomaker faces family.jpg me1.jpg me2.jpg
  photomaker faces photos/ --draw seen
  photomaker faces family.jpg#2 --json
`;

export function addFaces(program: Command, io: CliIo, { faces }: FacesTools): void {
  program
    .command("faces")
    .summary("find the faces in photos, and who is in which")
    .description("Finds the faces in photos, says who is the same person, which face would be taken, and what is wrong with it.")
    .argument("<photos...>", "photos, folders of photos or patterns")
    .option("--draw <folder>", "write a picture of each photo with what was found")
    .option("--json", "print what was found as JSON")
    .option("-q, --quiet", "show no progress")
    .addHelpText("after", HELP)
    .action(async (photos: string[], { draw, json = false, quiet = false }: Flags) => {
      const { lookAtFiles } = await faces();
      const progress = createProgress(io, { quiet, json });
      try {
        const { report, written } = await lookAtFiles(photos, {
          draw: draw === undefined ? undefined : folderName(draw),
          signal: io.signal,
          onProgress: (label, done, total) => progress.show({ label, done, total }),
        });
        progress.clear();
        if (json) io.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
        else io.stdout.write([facesText(report), ...written.map((path) => `${path}\n`)].join(""));
        for (const { message } of report.notices) progress.note(message);
      } finally {
        progress.clear();
      }
    });
}

/** What was found as text: a line a face. */
export function facesText({ photos, people }: FacesReport): string {
  const personOf = (photo: number, face: number): string => {
    const index = people.findIndex(({ faces }) => faces.some(([p, f]) => p === photo && f === face));
    return (people[index]?.faces.length ?? 0) > 1 ? `person ${index + 1}` : "";
  };
  const lines = photos.flatMap(({ file, width, height, turn, faces, chosen }, n) => {
    const count = faces.length === 0 ? "no face" : faces.length === 1 ? "1 face" : `${faces.length} faces`;
    const rows = faces.flatMap(({ box, side, score, warnings }, i) => {
      const [x, y] = [(box.x + box.width / 2) / width, (box.y + box.height / 2) / height];
      const parts = [
        `  ${i === chosen ? "*" : " "} ${i + 1}`,
        `at ${x.toFixed(2)},${y.toFixed(2)}`,
        `${Math.round(side)} pixels`,
        `certainty ${score.toFixed(2)}`,
        personOf(n, i),
      ];
      return [parts.filter((part) => part !== "").join("  "), ...warnings.map(({ message }) => `      ${message}`)];
    });
    const turned = turn === 0 ? "" : `, turned by ${turn} degrees`;
    return [`${file}: ${width}x${height}${turned}, ${count}`, ...rows];
  });
  const known = people.filter(({ faces }) => faces.length > 1);
  const groups = known.map(
    ({ faces }, i) => `person ${i + 1} is in ${faces.map(([photo, face]) => `${photos[photo]!.file}#${face + 1}`).join(", ")}`,
  );
  const chosen = photos.some((photo) => photo.chosen !== null) ? ["* the face that would be taken"] : [];
  return `${[...lines, ...(groups.length > 0 ? ["", ...groups] : []), ...chosen].join("\n")}\n`;
}
