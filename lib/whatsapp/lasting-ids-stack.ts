import { type CfnElement, Stack } from 'aws-cdk-lib';

/**
 * A stack that makes each logical ID once. The CDK makes it anew, with a hash, each time that a reference is resolved; an element's
 * path, of which it is made, never changes.
 */
export abstract class LastingIdsStack extends Stack {
  readonly #ids = new WeakMap<CfnElement, string>();

  protected override allocateLogicalId(element: CfnElement): string {
    const known = this.#ids.get(element);
    if (known !== undefined) return known;
    const id = super.allocateLogicalId(element);
    this.#ids.set(element, id);
    return id;
  }
}
