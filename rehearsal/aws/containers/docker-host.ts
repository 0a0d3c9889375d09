import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Container, ContainerWay } from './container.ts';

/** What the stand-in of the `docker` command reads of a container. */
export interface DockerContainer extends ContainerWay {
  /** 64 hexadecimal digits. */
  id: string;
  labels: Record<string, string>;
}

/** An EC2 instance with Docker: a folder with a `docker` command that leads into {@link Container}s. */
export class DockerHost {
  /** Like `i-0123456789abcdef0`. */
  readonly instanceId: string;
  readonly tags: Record<string, string>;
  /** Of the ECS agent. A fault can change it. */
  ecsAgentVersion = '1.86.0';
  readonly folder: string;

  constructor(options: { instanceId: string; folder: string; tags?: Record<string, string> }) {
    this.instanceId = options.instanceId;
    this.tags = options.tags ?? {};
    this.folder = options.folder;
    mkdirSync(this.programs, { recursive: true });
    mkdirSync(this.#registry, { recursive: true });
    mkdirSync(join(this.folder, 'run'), { recursive: true });
    const docker = join(this.programs, 'docker');
    const script = join(import.meta.dirname, `docker${extname(import.meta.filename)}`);
    writeFileSync(docker, `#!/bin/sh\nexec '${process.execPath}' '${script}' '${this.#registry}' "$@"\n`);
    chmodSync(docker, 0o755);
  }

  /** The folder that holds `docker`. */
  get programs(): string {
    return join(this.folder, 'bin');
  }

  get #registry(): string {
    return join(this.folder, 'containers');
  }

  /** Docker knows a container as long as it runs. */
  add(container: Container, { id, labels }: Pick<DockerContainer, 'id' | 'labels'>): void {
    const path = join(this.#registry, `${id}.json`);
    const known: DockerContainer = { ...container.way, id, labels };
    writeFileSync(path, JSON.stringify(known));
    void container.stopped.then(() => rmSync(path, { force: true }));
  }
}
