import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { UserError } from "../core/errors.ts";
import { makeFolder } from "../core/make-folder.node.ts";
import { openSqlite, type SqliteFile, type SqliteRun } from "../core/sqlite.node.ts";
import type { Album, AlbumPerson, AlbumPhoto, AlbumPicture, Derived, NewPhoto, NewPicture } from "./album.ts";
import { ALBUM_TABLES, ALBUM_VERSION } from "./album-tables.ts";
import { cursorOf, type PictureFilter, pictureQuery } from "./picture-search.ts";
import { type Store, storeKey } from "./store.ts";

/** How long what is being written may take until it is listed. */
const WRITING_MS = 3_600_000;

export interface AlbumOptions {
  readonly now?: () => number;
}

/**
 * Opens the album of a data folder. Several processes of one machine may have it open.
 * @throws UserError album/newer-version, and those of makeFolder and openSqlite
 */
export async function openAlbum(folder: string, store: Store, { now = Date.now }: AlbumOptions = {}): Promise<Album> {
  await makeFolder(folder);
  const file = await openSqlite(join(folder, "album.sqlite"), ALBUM_TABLES);
  const [row] = await file.within("read", async (run) => run("SELECT version FROM album"));
  const version = Number(row?.version);
  if (version > ALBUM_VERSION) {
    await file.close();
    throw new UserError(
      "album/newer-version",
      `The data folder was written by a newer version of this program (${version}, and this one knows ${ALBUM_VERSION}).`,
      "Update this program, or choose another data folder.",
    );
  }
  return new StoredAlbum(file, store, now);
}

type Row = Record<string, unknown>;
type Of = { readonly photo: string } | { readonly person: string };

class StoredAlbum implements Album {
  readonly #file: SqliteFile;
  readonly #store: Store;
  readonly #now: () => number;

  constructor(file: SqliteFile, store: Store, now: () => number) {
    [this.#file, this.#store, this.#now] = [file, store, now];
  }

  async addPhoto(owner: string, { width, height, details }: NewPhoto, bytes: Uint8Array): Promise<AlbumPhoto> {
    const id = newId();
    await this.#keep(owner, storeKey("photo", id, "webp"), id, bytes, (run) => {
      const values = [id, owner, width, height, JSON.stringify(details), this.#now(), this.#now()];
      run("INSERT INTO photos (id, owner, width, height, details, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?)", values);
      return true;
    });
    return this.photo(owner, id);
  }

  photo(owner: string, id: string): Promise<AlbumPhoto> {
    return this.#read((run) => photoOf(foundPhoto(run, owner, id)));
  }

  async photoBytes(owner: string, id: string): Promise<Uint8Array> {
    await this.photo(owner, id);
    return (await this.#store.get(storeKey("photo", id, "webp"))) ?? refuse(photoNotFound());
  }

  changePhoto(owner: string, id: string, details: unknown): Promise<AlbumPhoto> {
    return this.#writeAndCollect((run) => {
      const { person } = foundPhoto(run, owner, id);
      run("UPDATE photos SET details = ?, used_at = ? WHERE id = ?", [JSON.stringify(details), this.#now(), id]);
      this.#dropDerived(run, id);
      if (typeof person === "string") this.#dropDerived(run, person);
      return photoOf(foundPhoto(run, owner, id));
    });
  }

  touch(owner: string, { photos = [], person }: { photos?: readonly string[]; person?: string }): Promise<void> {
    return this.#write((run) => {
      for (const id of photos) run("UPDATE photos SET used_at = ? WHERE id = ? AND owner = ?", [this.#now(), id, owner]);
      if (person !== undefined) run("UPDATE people SET used_at = ? WHERE id = ? AND owner = ?", [this.#now(), person, owner]);
    });
  }

  removePhoto(owner: string, id: string): Promise<void> {
    return this.#writeAndCollect((run) => {
      const { person } = foundPhoto(run, owner, id);
      this.#dropPhoto(run, id);
      if (typeof person === "string") this.#dropDerived(run, person);
    });
  }

  removeLoosePhotos(unusedMs: number): Promise<number> {
    return this.#writeAndCollect((run) => {
      const old = run("SELECT id FROM photos WHERE person IS NULL AND used_at <= ?", [this.#now() - unusedMs]);
      for (const { id } of old) this.#dropPhoto(run, String(id));
      return old.length;
    });
  }

  async addPerson(
    owner: string,
    { name, photos, consent }: { name: string; photos: readonly string[]; consent?: string },
  ): Promise<AlbumPerson> {
    if (consent === undefined || consent.trim() === "")
      throw new UserError(
        "person/consent-needed",
        "Nobody has said that the person agrees to their photos being kept.",
        "Tick the box, if the person agrees.",
      );
    const id = newId();
    return this.#write((run) => {
      const times = [this.#now(), this.#now(), this.#now()];
      run("INSERT INTO people (id, owner, name, consent_text, consent_at, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?)", [
        id,
        owner,
        name,
        consent,
        ...times,
      ]);
      this.#assign(run, owner, id, photos);
      return personOf(run, foundPerson(run, owner, id));
    });
  }

  people(owner: string): Promise<readonly AlbumPerson[]> {
    return this.#read((run) =>
      run("SELECT * FROM people WHERE owner = ? ORDER BY used_at DESC, number DESC", [owner]).map((row) => personOf(run, row)),
    );
  }

  person(owner: string, id: string): Promise<AlbumPerson> {
    return this.#read((run) => personOf(run, foundPerson(run, owner, id)));
  }

  changePerson(owner: string, id: string, { name, photos }: { name?: string; photos?: readonly string[] }): Promise<AlbumPerson> {
    return this.#writeAndCollect((run) => {
      foundPerson(run, owner, id);
      if (name !== undefined) run("UPDATE people SET name = ? WHERE id = ?", [name, id]);
      if (photos !== undefined) {
        this.#dropDerived(run, id);
        run("UPDATE photos SET person = NULL, used_at = ? WHERE person = ?", [this.#now(), id]);
        this.#assign(run, owner, id, photos);
      }
      return personOf(run, foundPerson(run, owner, id));
    });
  }

  removePerson(
    owner: string,
    id: string,
    { pictures = false }: { pictures?: boolean } = {},
  ): Promise<{ staying: readonly string[] }> {
    return this.#writeAndCollect((run) => {
      foundPerson(run, owner, id);
      for (const photo of run("SELECT id FROM photos WHERE person = ?", [id])) this.#dropPhoto(run, String(photo.id));
      this.#dropDerived(run, id);
      const theirs = run("SELECT id FROM pictures WHERE person = ? AND owner = ?", [id, owner]).map((row) => String(row.id));
      if (pictures) for (const picture of theirs) this.#dropPicture(run, picture);
      else run("UPDATE pictures SET person = NULL WHERE person = ?", [id]);
      run("DELETE FROM people WHERE id = ?", [id]);
      return { staying: pictures ? [] : theirs };
    });
  }

  async saveDerived(owner: string, of: Of, what: Derived, bytes: Uint8Array): Promise<void> {
    const id = idOf(of);
    await this.#keep(owner, derivedKey(what, id), id, bytes, (run) => {
      if ("photo" in of)
        foundPhoto(run, owner, id); // it may have been removed meanwhile
      else foundPerson(run, owner, id);
      return true;
    });
  }

  async derived(owner: string, of: Of, what: Derived): Promise<Uint8Array | undefined> {
    const id = idOf(of);
    await ("photo" in of ? this.photo(owner, id) : this.person(owner, id));
    const key = derivedKey(what, id);
    const listed = await this.#read((run) => run("SELECT 1 FROM files WHERE key = ?", [key]).length > 0);
    return listed ? this.#store.get(key) : undefined;
  }

  async addPicture(owner: string, picture: NewPicture, bytes: Uint8Array): Promise<AlbumPicture> {
    const { job, task, person = null, model, prompt, styles, seed = null, width, height, settings } = picture;
    const id = newId();
    await this.#keep(owner, storeKey("picture", id, "png"), id, bytes, (run) => {
      if (run("SELECT 1 FROM pictures WHERE job = ? AND task = ?", [job, task]).length > 0) return false;
      run(
        `INSERT INTO pictures (id, owner, job, task, person, model, prompt, seed, width, height, settings, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        [id, owner, job, task, person, model, prompt, seed, width, height, JSON.stringify(settings), this.#now()],
      );
      for (const style of new Set(styles))
        run("INSERT INTO picture_styles (picture, style) SELECT number, ? FROM pictures WHERE id = ?", [style, id]);
      return true;
    });
    return this.#read((run) => {
      const [row] = run("SELECT * FROM pictures WHERE job = ? AND task = ? AND owner = ?", [job, task, owner]);
      return pictureOf(run, row ?? refuse(pictureNotFound()));
    });
  }

  pictures(owner: string, filter: PictureFilter = {}): Promise<{ pictures: readonly AlbumPicture[]; next?: string }> {
    const { sql, parameters, limit } = pictureQuery(owner, filter);
    return this.#read((run) => {
      const rows = run(sql, parameters);
      const pictures = rows.slice(0, limit).map((row) => pictureOf(run, row));
      return rows.length > limit ? { pictures, next: cursorOf(Number(rows[limit - 1]!.number)) } : { pictures };
    });
  }

  picture(owner: string, id: string): Promise<AlbumPicture> {
    return this.#read((run) => pictureOf(run, foundPicture(run, owner, id)));
  }

  async pictureBytes(owner: string, id: string): Promise<Uint8Array> {
    await this.picture(owner, id);
    const bytes = await this.#store.get(storeKey("picture", id, "png"));
    if (bytes) return bytes;
    throw new UserError("picture/file-missing", "The picture's file is gone.", "Make it again: its settings are still there.");
  }

  async thumbnail(
    owner: string,
    id: string,
    size: 256 | 512,
    make: (picture: Uint8Array, size: number) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    await this.picture(owner, id);
    const key = storeKey("thumb", id, "webp", size);
    const kept = await this.#store.get(key);
    if (kept) return kept;
    const made = await make(await this.pictureBytes(owner, id), size);
    await this.#keep(owner, key, id, made, (run) => {
      foundPicture(run, owner, id); // it may have been removed meanwhile
      return true;
    });
    return made;
  }

  star(owner: string, id: string, star: boolean): Promise<AlbumPicture> {
    return this.#write((run) => {
      foundPicture(run, owner, id);
      run("UPDATE pictures SET star = ? WHERE id = ?", [star ? 1 : 0, id]);
      return pictureOf(run, foundPicture(run, owner, id));
    });
  }

  removePictures(owner: string, ids: readonly string[]): Promise<number> {
    return this.#writeAndCollect((run) => {
      const theirs = [...new Set(ids)].filter(
        (id) => run("SELECT 1 FROM pictures WHERE id = ? AND owner = ?", [id, owner]).length > 0,
      );
      for (const id of theirs) this.#dropPicture(run, id);
      return theirs.length;
    });
  }

  setting(owner: string, name: string): Promise<unknown> {
    return this.#read((run) => {
      const [row] = run("SELECT value FROM settings WHERE owner = ? AND name = ?", [owner, name]);
      return row && JSON.parse(String(row.value));
    });
  }

  saveSetting(owner: string, name: string, value: unknown): Promise<void> {
    return this.#write((run) => {
      const text = JSON.stringify(value);
      run("INSERT INTO settings (owner, name, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", [
        owner,
        name,
        text,
      ]);
    });
  }

  bytesOf(owner: string): Promise<number> {
    return this.#read((run) =>
      Number(run("SELECT COALESCE(SUM(bytes), 0) AS bytes FROM files WHERE owner = ?", [owner])[0]!.bytes),
    );
  }

  async collect(): Promise<number> {
    const due = await this.#read((run) => run("SELECT key FROM removals WHERE due_at <= ?", [this.#now()]));
    for (const { key } of due) {
      await this.#store.remove(String(key));
      await this.#write((run) => run("DELETE FROM removals WHERE key = ?", [String(key)]));
    }
    return due.length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /**
   * Puts bytes into the store, and lists them if `list` says so. Until then the key stands among those that are to be removed, so that a process
   * that ends in between leaves nothing behind.
   */
  async #keep(
    owner: string,
    key: string,
    belongsTo: string,
    bytes: Uint8Array,
    list: (run: SqliteRun) => boolean,
  ): Promise<void> {
    const later = this.#now() + WRITING_MS;
    await this.#write((run) =>
      run("INSERT INTO removals (key, due_at) VALUES (?, ?) ON CONFLICT DO UPDATE SET due_at = excluded.due_at", [key, later]),
    );
    try {
      await this.#store.put(key, bytes);
      const listed = await this.#write((run) => {
        if (!list(run)) return false;
        run(
          "INSERT INTO files (key, owner, belongs_to, bytes) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
          [key, owner, belongsTo, bytes.length],
        );
        run("DELETE FROM removals WHERE key = ?", [key]);
        return true;
      });
      if (!listed) await this.#removeSoon(key);
    } catch (error) {
      await this.#removeSoon(key).catch(() => undefined); // it stands there, and is removed later
      throw error;
    }
  }

  /** Removes the bytes of a key that is not listed, unless it was listed before, as a form that is made anew. */
  async #removeSoon(key: string): Promise<void> {
    await this.#write((run) => {
      const listed = run("SELECT 1 FROM files WHERE key = ?", [key]).length > 0;
      if (listed) run("DELETE FROM removals WHERE key = ?", [key]);
      else run("UPDATE removals SET due_at = ? WHERE key = ?", [this.#now(), key]);
    });
    await this.collect();
  }

  #dropPhoto(run: SqliteRun, id: string): void {
    this.#dropFiles(run, run("SELECT key FROM files WHERE belongs_to = ?", [id]));
    run("DELETE FROM photos WHERE id = ?", [id]);
  }

  #dropPicture(run: SqliteRun, id: string): void {
    this.#dropFiles(run, run("SELECT key FROM files WHERE belongs_to = ?", [id]));
    run("DELETE FROM pictures WHERE id = ?", [id]);
  }

  #dropDerived(run: SqliteRun, id: string): void {
    this.#dropFiles(run, run("SELECT key FROM files WHERE belongs_to = ? AND key NOT LIKE 'photo/%'", [id]));
  }

  #dropFiles(run: SqliteRun, files: readonly Row[]): void {
    for (const { key } of files) {
      run("INSERT INTO removals (key, due_at) VALUES (?, ?) ON CONFLICT DO UPDATE SET due_at = excluded.due_at", [
        String(key),
        this.#now(),
      ]);
      run("DELETE FROM files WHERE key = ?", [String(key)]);
    }
  }

  #assign(run: SqliteRun, owner: string, person: string, photos: readonly string[]): void {
    for (const photo of photos) {
      const { person: other } = foundPhoto(run, owner, photo);
      if (typeof other === "string") this.#dropDerived(run, other); // it was another's photo, whose tokens are of it
      run("UPDATE photos SET person = ? WHERE id = ?", [person, photo]);
    }
  }

  #read<T>(work: (run: SqliteRun) => T): Promise<T> {
    return this.#file.within("read", async (run) => work(run));
  }

  #write<T>(work: (run: SqliteRun) => T): Promise<T> {
    return this.#file.within("write", async (run) => work(run));
  }

  /** Removals from the store come after those of the list; where the store cannot be reached they are done another time. */
  async #writeAndCollect<T>(work: (run: SqliteRun) => T): Promise<T> {
    const result = await this.#write(work);
    await this.collect().catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error;
    });
    return result;
  }
}

const newId = (): string => randomBytes(16).toString("hex");
const idOf = (of: Of): string => ("photo" in of ? of.photo : of.person);
const derivedKey = (what: Derived, id: string): string => storeKey(what, id, what === "crop" ? "webp" : "safetensors");

const refuse = (error: UserError): never => {
  throw error;
};
const photoNotFound = () =>
  new UserError("photo/not-found", "There is no such photo.", "It may have been removed; choose another.");
const pictureNotFound = () => new UserError("picture/not-found", "There is no such picture.", "It may have been removed.");

function foundPhoto(run: SqliteRun, owner: string, id: string): Row {
  return run("SELECT * FROM photos WHERE id = ? AND owner = ?", [id, owner])[0] ?? refuse(photoNotFound());
}

function foundPerson(run: SqliteRun, owner: string, id: string): Row {
  const [row] = run("SELECT * FROM people WHERE id = ? AND owner = ?", [id, owner]);
  return (
    row ?? refuse(new UserError("person/not-found", "There is no such person.", "They may have been removed; choose another."))
  );
}

function foundPicture(run: SqliteRun, owner: string, id: string): Row {
  return run("SELECT * FROM pictures WHERE id = ? AND owner = ?", [id, owner])[0] ?? refuse(pictureNotFound());
}

function photoOf(row: Row): AlbumPhoto {
  const common = {
    id: String(row.id),
    width: Number(row.width),
    height: Number(row.height),
    details: JSON.parse(String(row.details)),
  };
  const photo = { ...common, createdAt: Number(row.created_at), usedAt: Number(row.used_at) };
  return row.person === null ? photo : { ...photo, person: String(row.person) };
}

function personOf(run: SqliteRun, row: Row): AlbumPerson {
  const id = String(row.id);
  const photos = run("SELECT id FROM photos WHERE person = ? ORDER BY number", [id]).map((photo) => String(photo.id));
  const consent = { text: String(row.consent_text), at: Number(row.consent_at) };
  return { id, name: String(row.name), photos, consent, createdAt: Number(row.created_at), usedAt: Number(row.used_at) };
}

function pictureOf(run: SqliteRun, row: Row): AlbumPicture {
  const styles = run("SELECT style FROM picture_styles WHERE picture = ? ORDER BY rowid", [Number(row.number)]);
  return {
    id: String(row.id),
    job: String(row.job),
    task: Number(row.task),
    model: String(row.model),
    prompt: String(row.prompt),
    styles: styles.map(({ style }) => String(style)),
    width: Number(row.width),
    height: Number(row.height),
    star: row.star === 1,
    settings: JSON.parse(String(row.settings)),
    createdAt: Number(row.created_at),
    ...(row.person === null ? {} : { person: String(row.person) }),
    ...(row.seed === null ? {} : { seed: Number(row.seed) }),
  };
}
