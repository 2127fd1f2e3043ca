/** The load balancer's own pages, written out from captured ones; apart from the product's code on purpose. */

export const padding = '<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n'

export type PageOptions = {
  readonly connection?: 'keep-alive' | 'close'
  readonly isPadded?: boolean
  readonly isHead?: boolean
  /** `12:00:00`, on the first day of the tests' clock. */
  readonly time?: string
}

/** @param title status and text, such as `502 Bad Gateway` */
export function errorPage(title: string, options: PageOptions = {}): string {
  const { connection = 'keep-alive', isPadded = false, isHead = false, time = '12:00:00' } = options
  const body = [
    '<html>\r\n',
    `<head><title>${title}</title></head>\r\n`,
    '<body>\r\n',
    `<center><h1>${title}</h1></center>\r\n`,
    '</body>\r\n',
    '</html>\r\n',
    isPadded ? padding.repeat(6) : '',
  ].join('')
  const head = [
    `HTTP/1.1 ${title}`,
    'Server: awselb/2.0',
    `Date: Thu, 01 Jan 2026 ${time} GMT`,
    'Content-Type: text/html',
    `Content-Length: ${body.length}`,
    `Connection: ${connection}`,
  ]
  return `${head.join('\r\n')}\r\n\r\n${isHead ? '' : body}`
}
