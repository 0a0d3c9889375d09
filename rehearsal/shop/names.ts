/** What the shop's stack and what plays it call alike. */
export const SHOP_STACK = 'upkeep-shop';

export const PLACE = { account: '444444444444', region: 'eu-central-1' };

const secretArn = (name: string) =>
  `arn:aws:secretsmanager:${PLACE.region}:${PLACE.account}:secret:shop/${name}`;

export const SECRETS = {
  orders: secretArn('orders-a1B2c3'),
  ordersRotator: secretArn('orders-rotator-d4E5f6'),
  stock: secretArn('stock-g7H8i9'),
  stockRotator: secretArn('stock-rotator-j1K2l3'),
  paymentKey: secretArn('payment-key-m4N5o6'),
  catalogueToken: secretArn('catalogue-token-p7Q8r9'),
};

/** Of the service in which commands run. */
export const CATALOGUE = {
  service: 'catalogue',
  taskRoleArn: `arn:aws:iam::${PLACE.account}:role/catalogue-task`,
  executionRoleArn: `arn:aws:iam::${PLACE.account}:role/catalogue-execution`,
  logGroup: '/ecs/catalogue',
};

/** What the jobs in one place are called: a new task, and one of the containers that run. */
export const REINDEX = 'reindex';
export const CLOSE_CARTS = 'close-carts';

/** Of the certificate that a proxy loads by itself. */
export const PARAMETER = '/shop/certificate';

/** Both passwords are of users of one server. */
export const ADDRESS = { engine: 'postgres', host: 'database.shop.internal', port: 5432 } as const;

export const USERS: Record<'orders' | 'stock', { users: [string, string]; owner: string }> = {
  orders: { users: ['orders_a', 'orders_b'], owner: 'orders' },
  stock: { users: ['stock_a', 'stock_b'], owner: 'stock' },
};

/** Into the night, in milliseconds: after the passwords were rotated, and before what is watched is looked at. */
export const REPLACED_AFTER = 4.5 * 3_600_000;
