// A sensor that joins a pigeon hub, reports a reading, and prints what the hub pushes.
// For ESP32 and ESP8266; set the four lines below.

#ifdef ESP8266
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <WiFiUdp.h>

const char *WIFI_NAME = "my network";
const char *WIFI_PASSWORD = "my password";
const char *HUB = "192.168.1.10";
const char *CODE = "porch";

const uint16_t PORT = 10125;
const unsigned long EVERY_MS = 10000;        // a reading
const unsigned long REJOIN_EVERY_MS = 60000; // well within clients.idle, and after a restart of the hub

WiFiUDP udp;
unsigned long lastReading = 0;
unsigned long lastJoin = 0;

void say(const String &line) {
  udp.beginPacket(HUB, PORT);
  udp.print(line);
  udp.endPacket();
}

void join() {
  say(String("JOIN ") + CODE);
  lastJoin = millis();
}

void setup() {
  Serial.begin(115200);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(250);
  udp.begin(4210); // any port of our own; pushes come to it
  join();
}

void loop() {
  if (millis() - lastJoin >= REJOIN_EVERY_MS) join();

  if (millis() - lastReading >= EVERY_MS) {
    lastReading = millis();
    say(String("SET ") + CODE + "/light " + analogRead(A0));
  }

  // Replies ("joined porch 1/10", "set") and pushes ("MSG ann hello") alike.
  if (udp.parsePacket() > 0) {
    char text[513];
    int length = udp.read(text, sizeof text - 1);
    if (length < 0) length = 0;
    text[length] = 0;
    Serial.println(text);
  }
}
