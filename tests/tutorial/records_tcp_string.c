/* As records_tcp.c, but the line feed that fgets leaves is taken off first. */
#define WITHOUT_LINE_FEED
#include "records_tcp.c"
