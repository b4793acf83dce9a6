/* One process, no library beside it, no HTTP: who connects is told how many came before, and that it lives. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int one = 1, count = 0, listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons((unsigned short)atoi(getenv("PORT")));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16))
        return 1;
    for (;;) {
        int client = accept(listener, NULL, NULL);

        if (client >= 0) {
            dprintf(client, "alive %d\n", count++);
            close(client);
        }
    }
}
