#!/usr/bin/env node
import { endWithItsReader } from './output.ts';
import { program } from './program.ts';

endWithItsReader(process.stdout);
endWithItsReader(process.stderr);

await program().parseAsync();
