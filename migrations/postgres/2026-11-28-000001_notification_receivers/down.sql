DROP TABLE notification_receivers;
