import type { PictureFilter } from "./picture-search.ts";

/** A photo that somebody brought. */
export interface AlbumPhoto {
  readonly id: string;
  /** The person it belongs to; a loose photo is forgotten some time after it was used. */
  readonly person?: string;
  readonly width: number;
  readonly height: number;
  /** What was seen in it and chosen: faces, crop, warnings. Plain JSON. */
  readonly details: unknown;
  readonly createdAt: number;
  readonly usedAt: number;
}

/** A person whose photos are kept, with consent. */
export interface AlbumPerson {
  readonly id: string;
  readonly name: string;
  readonly photos: readonly string[];
  /** The words that were agreed to, and when. */
  readonly consent: { readonly text: string; readonly at: number };
  readonly createdAt: number;
  readonly usedAt: number;
}

/** What is known about a picture. */
export interface AlbumPicture {
  readonly id: string;
  readonly job: string;
  readonly task: number;
  readonly person?: string;
  readonly model: string;
  readonly prompt: string;
  readonly styles: readonly string[];
  readonly seed?: number;
  readonly width: number;
  readonly height: number;
  readonly star: boolean;
  /** Everything with which it can be made again. Plain JSON. */
  readonly settings: unknown;
  readonly createdAt: number;
}

export type NewPhoto = Pick<AlbumPhoto, "width" | "height" | "details">;
export type NewPicture = Omit<AlbumPicture, "id" | "star" | "createdAt">;

/** What is derived from a photo or a person, and goes with it. */
export type Derived = "crop" | "tokens";

/**
 * Photos, people, pictures and settings. Every call names the owner, and what is another's is not found. Times are milliseconds since 1970.
 * Bytes are in the store before they are listed, and are removed after they are listed no more: whatever ends a process in between, nothing is
 * listed that is not there, and what lies there unlisted is removed later.
 */
export interface Album {
  /** @param bytes as WebP, turned upright, without what cameras add */
  addPhoto(owner: string, photo: NewPhoto, bytes: Uint8Array): Promise<AlbumPhoto>;
  /** @throws UserError photo/not-found */
  photo(owner: string, id: string): Promise<AlbumPhoto>;
  photoBytes(owner: string, id: string): Promise<Uint8Array>;
  /** Another choice of face or crop. What was derived from the photo, and its person's tokens, are removed. */
  changePhoto(owner: string, id: string, details: unknown): Promise<AlbumPhoto>;
  /** Notes that photos and a person are in use, so that they are not forgotten. */
  touch(owner: string, used: { readonly photos?: readonly string[]; readonly person?: string }): Promise<void>;
  removePhoto(owner: string, id: string): Promise<void>;
  /** Removes loose photos that nobody used for a time. @returns how many */
  removeLoosePhotos(unusedMs: number): Promise<number>;

  /** @throws UserError person/consent-needed, photo/not-found */
  addPerson(
    owner: string,
    person: { readonly name: string; readonly photos: readonly string[]; readonly consent?: string },
  ): Promise<AlbumPerson>;
  people(owner: string): Promise<readonly AlbumPerson[]>;
  /** @throws UserError person/not-found */
  person(owner: string, id: string): Promise<AlbumPerson>;
  changePerson(
    owner: string,
    id: string,
    change: { readonly name?: string; readonly photos?: readonly string[] },
  ): Promise<AlbumPerson>;
  /** Removes a person with photos and all that was derived from them. @returns ids of the pictures of the person that stay, unless they go too */
  removePerson(
    owner: string,
    id: string,
    options?: { readonly pictures?: boolean },
  ): Promise<{ readonly staying: readonly string[] }>;

  /** Keeps what was derived from a photo or a person: one of each. */
  saveDerived(
    owner: string,
    of: { readonly photo: string } | { readonly person: string },
    what: Derived,
    bytes: Uint8Array,
  ): Promise<void>;
  derived(
    owner: string,
    of: { readonly photo: string } | { readonly person: string },
    what: Derived,
  ): Promise<Uint8Array | undefined>;

  /** Lists a picture. The same task's gives the first again, and its bytes are thrown away. @param bytes as PNG */
  addPicture(owner: string, picture: NewPicture, bytes: Uint8Array): Promise<AlbumPicture>;
  pictures(
    owner: string,
    filter?: PictureFilter,
  ): Promise<{ readonly pictures: readonly AlbumPicture[]; readonly next?: string }>;
  /** @throws UserError picture/not-found */
  picture(owner: string, id: string): Promise<AlbumPicture>;
  /** @throws UserError picture/not-found, picture/file-missing */
  pictureBytes(owner: string, id: string): Promise<Uint8Array>;
  /** A small form, made when it is first asked for. @param make makes it of the picture's bytes */
  thumbnail(
    owner: string,
    id: string,
    size: 256 | 512,
    make: (picture: Uint8Array, size: number) => Promise<Uint8Array>,
  ): Promise<Uint8Array>;
  star(owner: string, id: string, star: boolean): Promise<AlbumPicture>;
  /** @returns how many there were */
  removePictures(owner: string, ids: readonly string[]): Promise<number>;

  setting(owner: string, name: string): Promise<unknown>;
  saveSetting(owner: string, name: string, value: unknown): Promise<void>;
  /** Bytes in the store that are an owner's. */
  bytesOf(owner: string): Promise<number>;
  /** Removes from the store what is listed no more. @returns how many */
  collect(): Promise<number>;
  close(): Promise<void>;
}
